/** Time as the daemon uses it, so that tests can give their own. */

export interface Clock {
  /** Milliseconds that never go backwards; only differences mean something. */
  now(): number
  /** Calls back once after `ms`; the result takes the call back. A pending call does not keep the process alive. */
  after(ms: number, callback: () => void): () => void
  /** Resolves after other work of the event loop had its turn. */
  turn(): Promise<void>
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.max(0, ms))
    timer.unref()
    return () => {
      clearTimeout(timer)
    }
  },
  turn: () =>
    new Promise(resolve => {
      setImmediate(resolve)
    }),
}
