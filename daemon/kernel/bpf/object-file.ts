/**
 * An object file as it was read. Whoever looks into an object first and loads it later does both with the same bytes:
 * the file may be replaced meanwhile, as by an upgrade.
 */
import { readFileSync } from 'node:fs'
import { LoadError } from './object-errors.ts'

export interface ObjectFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** Throws LoadError. */
export function readObjectFile(path: string): ObjectFile {
  try {
    return { path, bytes: readFileSync(path) }
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error ? Number(error.errno) : 0
    throw new LoadError('reading', path, -errno, [])
  }
}
