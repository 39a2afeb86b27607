/**
 * The last events, as raw bytes in one piece of memory, and readers that walk over them. A reader has only a place in
 * the sequence: one that falls behind by more than the ring holds loses the oldest events and is told how many.
 */

import { setImmediate } from 'node:timers/promises'

/** What a reader gets: bytes of an event, valid until its next step, or how many events it has lost. */
export type RingItem = { readonly event: DataView } | { readonly lost: number }

export class EventRing {
  readonly #slots: Uint8Array
  readonly #eventBytes: number
  readonly #capacity: number
  /** How many events were ever pushed; the next one's number. */
  #count = 0
  #wake = Promise.withResolvers<void>()

  constructor(eventBytes: number, capacity: number) {
    this.#slots = new Uint8Array(eventBytes * capacity)
    this.#eventBytes = eventBytes
    this.#capacity = capacity
  }

  /** Events ever pushed: the number that the next one will have. */
  get count(): number {
    return this.#count
  }

  /** Copies an event in; one of another size than the ring's throws RangeError. */
  push(event: Uint8Array): void {
    if (event.length !== this.#eventBytes) {
      throw new RangeError(`an event has ${event.length} bytes instead of ${this.#eventBytes}`)
    }
    this.#slots.set(event, (this.#count % this.#capacity) * this.#eventBytes)
    this.#count++
    this.#wakeReaders()
  }

  /** Walks back from the event before number `end` over those that are kept; each is valid until the next step. */
  async *before(end: number, signal: AbortSignal): AsyncGenerator<DataView> {
    for (let next = end - 1; next >= this.#oldest && !signal.aborted; next--) {
      yield this.#view(next)
      await othersTurn(end - next)
    }
  }

  /** Walks over the events from number `next` on, and those that come, until the signal aborts. */
  async *from(next: number, signal: AbortSignal): AsyncGenerator<RingItem> {
    using _stop = onAbort(signal, () => this.#wakeReaders())
    for (let step = 1; !signal.aborted; step++) {
      if (next < this.#oldest) {
        yield { lost: this.#oldest - next }
        next = this.#oldest
      } else if (next < this.#count) yield { event: this.#view(next++) }
      else await this.#wake.promise
      // After the wait, never before it: an abort in between would wake nobody.
      await othersTurn(step)
    }
  }

  get #oldest(): number {
    return Math.max(0, this.#count - this.#capacity)
  }

  #view(sequence: number): DataView {
    const offset = (sequence % this.#capacity) * this.#eventBytes
    return new DataView(this.#slots.buffer, offset, this.#eventBytes)
  }

  #wakeReaders(): void {
    const woken = this.#wake
    this.#wake = Promise.withResolvers<void>()
    woken.resolve()
  }
}

/** Filters may pass over thousands of events; the rest of the daemon must not wait for that. */
async function othersTurn(step: number): Promise<void> {
  if (step % 256 === 0) await setImmediate()
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
