/**
 * Work in another network namespace (setns(2)). The main thread goes there and comes back in one synchronous stretch:
 * a thread started meanwhile would stay there for good, so nothing asynchronous is allowed in between and the thread
 * pool is started beforehand (`warmThreadPool`).
 */
import { closeSync, openSync } from 'node:fs'
import { lastErrno, libcFunction, systemError } from '../sys.ts'
import { CLONE_NEWNET, openNetns } from './netns-file.ts'

/** Any result but a promise: what an async function would do after its first await would happen in the wrong namespace. */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T

const cSetns = libcFunction('int setns(int fd, int type)')

/**
 * Calls `fn` while the calling thread stands in the namespace of `place`, an nsfs path or an open nsfs file, and
 * returns its result. Throws SystemError, NotANetns, what `fn` throws, and TypeError when `fn` returns a promise. Ends
 * the process when there is no way back: to go on in the wrong namespace could reconfigure it.
 */
export function inNetns<T>(place: string | number, fn: () => Synchronous<T>): T {
  const there = typeof place === 'number' ? place : openNetns(place)
  try {
    return awayFromHome(() => enter(there, place), fn)
  } finally {
    if (typeof place !== 'number') closeSync(there)
  }
}

/** Calls `leave`, which takes the thread to another namespace, then `fn`, and brings the thread back. */
export function awayFromHome<T>(leave: () => void, fn: () => Synchronous<T>): T {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    leave()
    try {
      const result = fn()
      if (isThenable(result)) throw new TypeError('a function called in another namespace must not be asynchronous')
      return result
    } finally {
      if (cSetns()(home, CLONE_NEWNET) !== 0) process.abort()
    }
  } finally {
    closeSync(home)
  }
}

function enter(fd: number, place: string | number): void {
  if (cSetns()(fd, CLONE_NEWNET) !== 0) throw systemError(`enter network namespace ${place}`, lastErrno())
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value
}
