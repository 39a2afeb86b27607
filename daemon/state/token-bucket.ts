/** How often something may happen: so many times at once, then at a steady rate. */
import type { Clock } from './clock.ts'

export interface BucketSize {
  readonly burst: number
  readonly everyMs: number
}

export class TokenBucket {
  readonly #clock: Clock
  readonly #size: BucketSize
  #tokens: number
  #atMs: number

  constructor(clock: Clock, size: BucketSize) {
    this.#clock = clock
    this.#size = size
    this.#tokens = size.burst
    this.#atMs = clock.now()
  }

  /** False when it may not happen now. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Milliseconds until it may happen again; 0: now. */
  get waitMs(): number {
    this.#fill()
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) * this.#size.everyMs
  }

  #fill(): void {
    const { burst, everyMs } = this.#size
    const now = this.#clock.now()
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#atMs) / everyMs)
    this.#atMs = now
  }
}
