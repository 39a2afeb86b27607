/** Waiting for descriptors on the event loop. */
import koffi from 'koffi'

/** A descriptor that is watched; it stays its owner's, who closes the watch first. */
export interface FdWatch {
  /** Watches again, after `stop` or after an error that made libuv stop by itself. */
  start(): void
  stop(): void
  close(): void
}

/**
 * Calls back whenever a descriptor can be read, until stopped. What the callback throws is an uncaught exception, as a
 * timer's would be.
 */
export function pollFd(fd: number, onReadable: () => void): FdWatch {
  const call = (): void => {
    try {
      onReadable()
    } catch (error) {
      throwUncaught(error)
    }
  }
  const poll = koffi.node.poll(fd, { readable: true }, call)
  return {
    start: () => poll.start({ readable: true }, call),
    stop: () => poll.stop(),
    close: () => poll.close(),
  }
}

/**
 * Throws with nobody to catch it. Koffi calls back without a scope for exceptions of its own: it would keep one and throw
 * it out of the next call into C, whichever that is, after it has been carried out.
 */
export function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
