/** Making and removing network namespaces, for the lab, tests and probes (unshare(2), mount(2)). */
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { errnoName, lastErrno, libcFunction, systemError } from '../sys.ts'
import { awayFromHome } from './in-netns.ts'
import { CLONE_NEWNET, withSystemError } from './netns-file.ts'

const MS_BIND = 0x1000
const MNT_DETACH = 2

const cUnshare = libcFunction('int unshare(int flags)')
const cMount = libcFunction(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)
const cUnmount = libcFunction('int umount2(const char *target, int flags)')

/** A namespace without a name, which lives as long as it is open. */
export interface OpenNetns extends Disposable {
  /** nsfs path valid in this process. */
  readonly path: string
  readonly fd: number
}

/** Makes a namespace that has a name: an nsfs file bound to `path`, which must not exist. Throws SystemError. */
export function createNetns(path: string): void {
  const attempt = `create network namespace ${path}`
  mkdirSync(dirname(path), { recursive: true })
  withSystemError(attempt, () => closeSync(openSync(path, 'wx', 0o444)))
  try {
    awayFromHome(unshareNet, () => {
      if (cMount()('/proc/thread-self/ns/net', path, 'none', MS_BIND, null) !== 0)
        throw systemError(attempt, lastErrno())
    })
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
}

/** Removes the name of a namespace; absent is fine. The kernel ends the namespace once nobody uses it, a while later. */
export function deleteNetns(path: string): void {
  // EINVAL: nothing is mounted there, the file is what an interrupted createNetns left.
  if (cUnmount()(path, MNT_DETACH) !== 0 && !['EINVAL', 'ENOENT'].includes(errnoName(lastErrno()))) {
    throw systemError(`delete network namespace ${path}`, lastErrno())
  }
  rmSync(path, { force: true })
}

/** Makes a namespace without a name. The caller disposes of it. Throws SystemError. */
export function openNewNetns(): OpenNetns {
  const fd = awayFromHome(unshareNet, () => openSync('/proc/thread-self/ns/net', 'r'))
  return { fd, path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) }
}

function unshareNet(): void {
  if (cUnshare()(CLONE_NEWNET) !== 0) throw systemError('create network namespace', lastErrno())
}
