/** For the tests of this folder: compiles an object of testdata into a folder that goes away with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileObject } from '../../../../deploy/setup/compile-bpf.mjs'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

/** A folder of its own with compiled objects; disposing removes it. */
export interface Objects extends Disposable {
  readonly dir: string
  path(name: string): string
}

/** Compiles `testdata/NAME.bpf.c` for each name. */
export async function compileTestdata(...names: readonly string[]): Promise<Objects> {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-bpf-'))
  const path = (name: string): string => join(dir, `${name}.o`)
  const sourceOf = (name: string): string => fileURLToPath(new URL(`${name}.bpf.c`, import.meta.url))
  await Promise.all(names.map(name => compileObject({ root: ROOT, source: sourceOf(name), output: path(name) })))
  return { dir, path, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}
