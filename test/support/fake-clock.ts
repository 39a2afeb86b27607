/** A clock that stands still until a test moves it. */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../daemon/state/clock.ts'

export class FakeClock implements Clock {
  #now = 0
  readonly #calls = new Set<{ readonly at: number; readonly callback: () => void }>()

  now(): number {
    return this.#now
  }
  after(ms: number, callback: () => void): () => void {
    const call = { at: this.#now + ms, callback }
    this.#calls.add(call)
    return () => {
      this.#calls.delete(call)
    }
  }
  turn(): Promise<void> {
    return setImmediate(undefined)
  }
  /** When the next call is due, in milliseconds from now. */
  get next(): number | undefined {
    const at = Math.min(...[...this.#calls].map(call => call.at))
    return Number.isFinite(at) ? at - this.#now : undefined
  }
  /** Moves time forward, making each call at its moment and letting what it woke run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const due = [...this.#calls].filter(call => call.at <= end).sort((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#calls.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
      await settle()
    }
    this.#now = end
    await settle()
  }
}

/** Lets everything run that waits for promises or for its turn, but not for time or input. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await setImmediate(undefined)
}
