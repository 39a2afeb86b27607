/** The rest of a loop between two rounds: ended by a change, by a moment, or by hand. */
import type { Clock } from './clock.ts'

/** One loop's rest. Timers are kept over rounds, so that a round costs none. */
export class Rest {
  readonly #clock: Clock
  #woken = true
  #resolve: (() => void) | undefined
  #watched: Promise<void> | undefined
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the rest, or keeps the next one from beginning. */
  readonly wake = (): void => {
    this.#woken = true
    this.#resolve?.()
  }

  /** A round begins: only what happens from now on ends the rest after it, `changed` among it. */
  begin(changed: Promise<void>): void {
    this.#woken = false
    if (this.#watched === changed) return
    this.#watched = changed
    void changed.then(this.wake)
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
