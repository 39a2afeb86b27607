/** One operation at a time for each key, in order of arrival; operations of different keys run concurrently. */

interface Turn {
  readonly abort: AbortController
  readonly done: Promise<void>
}

export class KeyedMutex {
  readonly #turns = new Map<string, Turn[]>()

  /** Number of keys with an operation running or waiting. */
  get size(): number {
    return this.#turns.size
  }
  held(key: string): boolean {
    return this.#turns.has(key)
  }

  /**
   * Runs the operation when those before it have ended. Rejects with the signal's reason when that aborts before the
   * operation's turn came; the operation is given a signal that `interrupt` aborts, too.
   */
  async run<T>(key: string, signal: AbortSignal, operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    const turns = this.#turns.get(key) ?? []
    const before = turns.map(turn => turn.done)
    const turn: Turn = { abort, done: promise }
    this.#turns.set(key, [...turns, turn])
    const either = AbortSignal.any([signal, abort.signal])
    try {
      if (before.length > 0) await abortable(Promise.all(before), either)
      either.throwIfAborted()
      return await operation(either)
    } finally {
      this.#leave(key, turn)
      // Those behind this one must not overtake the ones it was waiting for.
      void Promise.all(before).then(() => resolve())
    }
  }

  /** Aborts what runs or waits for the key now, with this reason; what is asked for afterwards is not touched. */
  interrupt(key: string, reason: Error): void {
    for (const turn of this.#turns.get(key) ?? []) turn.abort.abort(reason)
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    await Promise.all([...this.#turns.values()].flat().map(turn => turn.done))
  }

  #leave(key: string, turn: Turn): void {
    const rest = (this.#turns.get(key) ?? []).filter(other => other !== turn)
    if (rest.length === 0) this.#turns.delete(key)
    else this.#turns.set(key, rest)
  }
}

/** The promise, or a rejection with the signal's reason, whichever comes first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
