/** One operation at a time for each key, in order of arrival; operations of different keys run concurrently. */
import { abortable } from '../abort.ts'

interface Turn {
  /** Aborted by `interrupt`; absent for operations that are to go through. */
  readonly abort: AbortController | undefined
  readonly done: Promise<void>
}

export class KeyedMutex {
  readonly #turns = new Map<string, Turn[]>()

  /** Whether an operation of the key runs or waits. */
  busy(key: string): boolean {
    return this.#turns.has(key)
  }

  /**
   * Runs the operation when those before it have ended. Rejects with the signal's reason when that aborts before the
   * operation's turn came.
   */
  run<T>(key: string, signal: AbortSignal, operation: () => Promise<T>): Promise<T> {
    return this.#take(key, undefined, signal, operation)
  }

  /** The same for an operation that `interrupt` may end: it is given a signal which that aborts, too. */
  runInterruptible<T>(key: string, signal: AbortSignal, operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController()
    const either = AbortSignal.any([signal, abort.signal])
    return this.#take(key, abort, either, () => operation(either))
  }

  /** Aborts the interruptible operations of the key that run or wait now, with this reason. */
  interrupt(key: string, reason: Error): void {
    for (const turn of this.#turns.get(key) ?? []) turn.abort?.abort(reason)
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    await Promise.all([...this.#turns.values()].flat().map(turn => turn.done))
  }

  async #take<T>(
    key: string,
    abort: AbortController | undefined,
    signal: AbortSignal,
    operation: () => Promise<T>,
  ): Promise<T> {
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const turns = this.#turns.get(key) ?? []
    const before = Promise.all(turns.map(turn => turn.done))
    const turn: Turn = { abort, done }
    this.#turns.set(key, [...turns, turn])
    try {
      if (turns.length > 0) await abortable(before, signal)
      signal.throwIfAborted()
      return await operation()
    } finally {
      this.#leave(key, turn)
      // Those behind this one must not overtake the ones it was waiting for.
      void before.then(() => resolve())
    }
  }

  #leave(key: string, turn: Turn): void {
    const rest = (this.#turns.get(key) ?? []).filter(other => other !== turn)
    if (rest.length === 0) this.#turns.delete(key)
    else this.#turns.set(key, rest)
  }
}
