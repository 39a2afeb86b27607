/** Advisory locks on whole files and directories (flock(2)), which the kernel gives back when their holder dies. */
import { closeSync, openSync } from 'node:fs'
import { errnoValue, lastErrno, libcFunction, systemError } from './sys.ts'

const flock = libcFunction('int flock(int fd, int operation)')
const LOCK_EX = 2
const LOCK_NB = 4

/** A held lock; disposing it closes the file and so gives the lock back. */
export interface FileLock extends Disposable {
  readonly fd: number
}

/** Takes the exclusive lock of a file, made when missing with mode 0600; undefined when another process holds it. */
export function tryLockFile(path: string): FileLock | undefined {
  return tryLock(path, openSync(path, 'a+', 0o600))
}

/** The same for a directory, which must exist. */
export function tryLockDirectory(path: string): FileLock | undefined {
  return tryLock(path, openSync(path, 'r'))
}

function tryLock(path: string, fd: number): FileLock | undefined {
  if (flock()(fd, LOCK_EX | LOCK_NB) === 0) return { fd, [Symbol.dispose]: () => closeSync(fd) }
  const errno = lastErrno()
  closeSync(fd)
  if (errno === errnoValue('EWOULDBLOCK')) return undefined
  throw systemError(`locking ${path}`, errno)
}
