/** Runs a program of the project with Node 24 in the place of this process, as far as Node allows it. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'

/** Signals a supervisor sends to this process alone; SIGINT from a terminal reaches both. */
const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']

/**
 * Arguments, standard streams, signals and the exit status pass through; a child that died by a signal gives 128 plus
 * its number, as in a shell. Resolves to the exit status.
 */
export async function runWithNode24(root, file, args) {
  const bin = join(root, 'node_modules/.bin')
  const child = spawn(join(bin, 'node'), ['--disable-warning=ExperimentalWarning', join(root, file), ...args], {
    stdio: 'inherit',
    env: { ...process.env, PATH: [bin, process.env.PATH].join(delimiter) },
  })
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT')) // the child decides what it means
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0)))
  })
}
