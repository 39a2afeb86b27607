/**
 * Readiness: named conditions that must all hold. The API answers 503 with the list of those that do not, so that
 * whoever waits sees what it waits for.
 */

export interface Condition {
  /** Marks the condition as holding. */
  pass(): void
  /** Marks it as not holding, with the reason shown to people. */
  fail(reason: string): void
}

export interface HealthReport {
  readonly ready: boolean
  /** `name` or `name: reason` of each condition that does not hold, in order of declaration. */
  readonly waiting: readonly string[]
}

/** The daemon is ready while every declared condition holds; none declared means ready. */
export class Health {
  readonly #conditions = new Map<string, { holds: boolean; reason: string }>()
  #wake = Promise.withResolvers<void>()

  /** Declares a condition, not holding yet; declaring a name again resets it. */
  condition(name: string, reason = ''): Condition {
    const state = { holds: false, reason }
    this.#conditions.set(name, state)
    const change = (holds: boolean, why: string): void => {
      if (state.holds === holds && state.reason === why) return
      state.holds = holds
      state.reason = why
      const woken = this.#wake
      this.#wake = Promise.withResolvers<void>()
      woken.resolve()
    }
    return { pass: () => change(true, ''), fail: why => change(false, why) }
  }

  get ready(): boolean {
    return this.report().ready
  }

  report(): HealthReport {
    const waiting = [...this.#conditions]
      .filter(([, state]) => !state.holds)
      .map(([name, state]) => (state.reason === '' ? name : `${name}: ${state.reason}`))
    return { ready: waiting.length === 0, waiting }
  }

  /** Resolves at the next change of any condition. */
  changed(): Promise<void> {
    return this.#wake.promise
  }

  /** Resolves once every condition holds; rejects with the signal's reason. */
  async untilReady(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>()
    const abort = (): void => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      while (!this.ready) await Promise.race([this.changed(), aborted.promise])
    } finally {
      signal.removeEventListener('abort', abort)
      aborted.promise.catch(() => undefined)
    }
  }
}
