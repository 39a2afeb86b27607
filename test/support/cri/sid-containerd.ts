/**
 * containerd 2 of Debian sid beside this machine's own: its packages, with the C library that they need, unpacked into a
 * folder of their own. What was fetched once is used from then on.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type FileLock, tryLockFile } from '../../../daemon/kernel/file-lock.ts'
import { eventually } from '../eventually.ts'
import { MirrorAway, PrivateApt } from '../../../deploy/image/private-apt.ts'
import type { ContainerdRelease } from './containerd.ts'

/** Outside the project: set-up of a clean clone finds it again. */
const CACHE = '/var/cache/causeway-test/sid'
const PACKAGES = ['containerd', 'runc', 'containernetworking-plugins']
/** Another run's fetching, at most. */
const LOCK_TIMEOUT_MS = 360_000

/** The release, or in words why it cannot be had. Rejects when what was fetched cannot be unpacked. */
export async function sidContainerd(cache: string = CACHE): Promise<ContainerdRelease | string> {
  const root = join(cache, 'root')
  mkdirSync(cache, { recursive: true })
  using _lock = await lockCache(cache)
  const problem = existsSync(root) ? undefined : await fetchInto(cache, root)
  return problem ?? { configVersion: 3, root }
}

/** Another run may be fetching. */
async function lockCache(cache: string): Promise<FileLock> {
  let lock: FileLock | undefined
  await eventually(() => (lock = tryLockFile(join(cache, 'lock'))) !== undefined, { timeoutMs: LOCK_TIMEOUT_MS })
  if (lock === undefined) throw new Error(`${cache} is locked`)
  return lock
}

/** Returns why the mirror could not be used. Only a whole system gets the name `root`. */
async function fetchInto(cache: string, root: string): Promise<string | undefined> {
  const work = join(cache, 'work')
  rmSync(work, { recursive: true, force: true }) // left by a run that was killed
  try {
    const apt = await PrivateApt.open(join(work, 'apt'), [{ suite: 'sid' }])
    await apt.unpack(PACKAGES, join(work, 'root'), { dependencies: true })
    renameSync(join(work, 'root'), root)
    return undefined
  } catch (error) {
    if (error instanceof MirrorAway) return `Debian sid cannot be reached: ${error.message}`
    throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
