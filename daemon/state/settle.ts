/** Who waits for which key of a table to be carried to its target, up to which revision. */
import { CausewayError } from '../errors.ts'

/** A row was not carried to its target in time; the message and `cause` say what failed last. */
export class NotSettled extends CausewayError {
  constructor(message: string, options?: ErrorOptions) {
    super('NOT_SETTLED', message, options)
  }
}

interface Waiter {
  readonly key: string
  readonly revision: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The waiting callers of one reconciler. */
export class Waiters {
  readonly #waiters = new Set<Waiter>()

  get size(): number {
    return this.#waiters.size
  }

  /** Resolves through `release`; rejects with `why()` when the signal aborts or through `fail`. */
  wait(key: string, revision: number, signal: AbortSignal, why: () => Error): Promise<void> {
    if (signal.aborted) return Promise.reject(why())
    return new Promise<void>((resolve, reject) => {
      const end = (act: () => void) => (): void => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', onAbort)
        act()
      }
      const onAbort = end(() => {
        reject(why())
      })
      const waiter = {
        key,
        revision,
        resolve: end(resolve),
        reject: (error: Error) =>
          end(() => {
            reject(error)
          })(),
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Lets go everyone whose key and revision are settled. */
  release(settled: (key: string, revision: number) => boolean): void {
    for (const waiter of this.#waiters) if (settled(waiter.key, waiter.revision)) waiter.resolve()
  }

  /** Rejects everyone. */
  fail(why: (key: string) => Error): void {
    for (const waiter of this.#waiters) waiter.reject(why(waiter.key))
  }
}
