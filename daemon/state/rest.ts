/** The rest of a loop between two rounds: ended by a change, by a moment, or by hand. */
import type { Clock } from './clock.ts'

/** One loop's rest. Timers are kept over rounds, so that a round costs none. */
export class Rest {
  readonly #clock: Clock
  #woken = true
  #resolve: (() => void) | undefined
  #watched: readonly Promise<void>[] = []
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the rest, or keeps the next one from beginning. */
  readonly wake = (): void => {
    this.#woken = true
    this.#resolve?.()
  }

  /**
   * A round begins: only what happens from now on ends the rest after it, each of `changed` among it. A promise that
   * was given before is not watched again: one that never resolves must not gather a callback a round.
   */
  begin(...changed: readonly Promise<void>[]): void {
    this.#woken = false
    for (const promise of changed) if (!this.#watched.includes(promise)) void promise.then(this.wake)
    this.#watched = changed
  }

  /** Rests until `wake`, or the moment `at` of the clock, which may be infinite. */
  async until(at: number): Promise<void> {
    if (this.#woken) return
    this.#arm(at)
    await new Promise<void>(resolve => {
      this.#resolve = resolve
    })
    this.#resolve = undefined
  }

  /** Takes the timer back. */
  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(at: number): void {
    if (this.#timer?.at === at) return
    this.end()
    if (!Number.isFinite(at)) return
    const cancel = this.#clock.after(at - this.#clock.now(), () => {
      this.#timer = undefined
      this.wake()
    })
    this.#timer = { at, cancel }
  }
}
