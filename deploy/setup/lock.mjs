/** Keeps two set-ups of one tree apart. */
import { spawnSync } from 'node:child_process'
import { SetupError } from './setup-error.mjs'

/**
 * Takes an exclusive lock that lasts until the descriptor is closed or this process ends, however it ends: flock(2)
 * belongs to the open file, which the helper program shares with us. Waits for whoever holds it.
 */
export function holdLock(fd) {
  if (flock(fd, ['-n'])) return
  process.stderr.write('set-up: waiting for another set-up of this tree\n')
  if (!flock(fd, [])) throw new SetupError('flock(1) failed', 'is util-linux installed?')
}

function flock(fd, options) {
  return spawnSync('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'inherit', fd] }).status === 0
}
