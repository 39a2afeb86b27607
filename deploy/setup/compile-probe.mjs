/** Compiles cw-probe, the program that lab, tests and benches run inside namespaces. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SetupError } from './setup-error.mjs'

const FLAGS = ['-std=gnu17', '-O2', '-static', '-Wall', '-Wextra', '-Wshadow', '-Werror']

/** Writes build/probe/cw-probe unless it is newer than its sources; returns the names of files written. */
export function compileProbe({ root, force = false }) {
  const folder = join(root, 'deploy/probe')
  const output = join(root, 'build/probe/cw-probe')
  const sources = readdirSync(folder).filter(f => /\.[ch]$/.test(f))
  const inputs = [...sources.map(f => join(folder, f)), fileURLToPath(import.meta.url)]
  if (!force && isNewer(output, inputs)) return []
  mkdirSync(join(root, 'build/probe'), { recursive: true })
  const units = sources.filter(f => f.endsWith('.c')).map(f => join(folder, f))
  // A running probe keeps its file: the new one takes its name, not its contents.
  const temporary = `${output}.${process.pid}`
  const result = spawnSync('gcc', [...FLAGS, '-o', temporary, ...units], { stdio: 'inherit' })
  if (result.status !== 0) throw new SetupError('cw-probe does not compile', 'see the messages above')
  renameSync(temporary, output)
  return ['cw-probe']
}

function isNewer(output, inputs) {
  const made = statSync(output, { throwIfNoEntry: false })?.mtimeMs
  return made !== undefined && inputs.every(f => statSync(f).mtimeMs < made)
}
