/** Files of the namespace file system (namespaces(7)), by which a namespace is named and kept alive. */
import { closeSync, fstatSync, openSync, statfsSync } from 'node:fs'
import { NotANetns, SystemError } from '../errors.ts'
import type { NetnsId } from '../kernel.ts'
import { libcFunction, systemError } from '../sys.ts'

/** The namespace that the calling thread is in. */
export const OWN_NETNS = '/proc/thread-self/ns/net'
export const CLONE_NEWNET = 0x40000000
const NSFS_MAGIC = 0x6e736673
/** ioctl_ns(2): which kind of namespace an nsfs file stands for. */
const NS_GET_NSTYPE = 0xb703

const cIoctl = libcFunction('int ioctl(int fd, unsigned long request, long argument)')

/** Opens the nsfs file of a network namespace. The caller closes it. Throws SystemError, or NotANetns. */
export function openNetns(path: string): number {
  const attempt = `open network namespace ${path}`
  // Looked at before it is opened: opening a FIFO would wait for ever.
  if (withSystemError(attempt, () => statfsSync(path).type) !== NSFS_MAGIC) throw new NotANetns(path)
  const fd = withSystemError(attempt, () => openSync(path, 'r'))
  if (cIoctl()(fd, NS_GET_NSTYPE, 0) === CLONE_NEWNET) return fd
  closeSync(fd)
  throw new NotANetns(path)
}

/** Identity of the network namespace at a path; undefined when there is no file, or one of another kind. */
export function netnsId(path: string): NetnsId | undefined {
  let fd: number
  try {
    fd = openNetns(path)
  } catch (error) {
    if (error instanceof NotANetns || (error instanceof SystemError && absent.has(error.code))) return undefined
    throw error
  }
  try {
    const { dev, ino } = fstatSync(fd)
    return { dev, ino }
  } finally {
    closeSync(fd)
  }
}

/** ESRCH: the process whose /proc/PID/ns/net was named is gone. */
const absent = new Set(['ENOENT', 'ENOTDIR', 'ESRCH'])

/** Turns the error of a call of node:fs into SystemError. */
export function withSystemError<T>(attempt: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error ? error.errno : undefined
    if (typeof errno !== 'number') throw error
    // node:fs gives the negated number.
    throw systemError(attempt, -errno)
  }
}
