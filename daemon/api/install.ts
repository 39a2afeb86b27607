/** Putting an executable where others start it, while they do. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CausewayError } from '../errors.ts'

/** At the same place seen from a source file and from the bundle in build/daemon, in the tree and in the image alike. */
export const CNI_EXECUTABLE = fileURLToPath(new URL('../../build/cni/causeway', import.meta.url))

/**
 * Gives a directory a copy of an executable, with its mode. It takes its name when it is whole and on the disk, as a new
 * file: one that runs is never written into. Returns false when the same is there already. Throws CausewayError
 * INSTALL, which says what is wrong with the directory.
 */
export function installExecutable(from: string, directory: string): boolean {
  const { mode } = statSync(from)
  const content = readFileSync(from)
  const target = join(directory, basename(from))
  // Left by a process that ended in between, it is written anew.
  const temporary = join(directory, `.${basename(from)}.tmp`)
  try {
    requireDirectory(directory)
    if (isSame(target, content, mode)) return false
    rmSync(temporary, { force: true })
    writeFileSync(temporary, content, { flag: 'wx', mode, flush: true })
    // Whatever the process lets files be made with.
    chmodSync(temporary, mode & 0o7777)
    renameSync(temporary, target)
    syncDirectory(directory)
    return true
  } catch (error) {
    throw refusal(error, directory)
  }
}

function requireDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return
  throw new CausewayError('INSTALL', `there is no directory ${directory}: ${MOUNT}`)
}

const MOUNT = "create it on the node; in a container mount the node's own there (hostPath, type: DirectoryOrCreate)"

function isSame(target: string, content: Buffer, mode: number): boolean {
  const there = statSync(target, { throwIfNoEntry: false })
  return there?.size === content.length && there.mode === mode && readFileSync(target).equals(content)
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

const WAYS_OUT: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only: mount it writable, or name the directory that the runtime really uses',
  EACCES: 'it may not be written to: run this as root',
  ENOSPC: 'there is no room left: make some',
}

function refusal(cause: unknown, directory: string): unknown {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  const why = WAYS_OUT[code]
  return why === undefined ? cause : new CausewayError('INSTALL', `${directory}: ${why}`, { cause })
}
