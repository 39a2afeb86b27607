/** Keeps two commands that change the same lab apart. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type FileLock, tryLockFile } from '../../daemon/kernel/file-lock.ts'

const RETRY_MS = 100

/** Waits for the lock of a lab until the signal aborts. `down` removes the file, so the one locked must still be it. */
export async function lockLab(path: string, signal: AbortSignal): Promise<FileLock> {
  for (let tries = 0; ; tries++) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const lock = tryLockFile(path)
    if (lock !== undefined && isSameFile(path, lock)) return lock
    lock?.[Symbol.dispose]()
    if (lock === undefined && tries === 0) process.stderr.write('waiting for another command on this lab\n')
    await delay(RETRY_MS, undefined, { signal })
  }
}

function isSameFile(path: string, lock: FileLock): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === statSync(`/proc/self/fd/${lock.fd}`).ino
}
