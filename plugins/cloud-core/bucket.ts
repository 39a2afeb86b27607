/**
 * A token bucket for calls that a cloud counts together, kept a little below what the cloud allows. Throttling halves its
 * rate; each answer brings it a little nearer to the full rate again (additive increase, multiplicative decrease). In whole
 * millionths of tokens, of which a rate in thousandths a second brings so many a millisecond; without a clock.
 */
import type { Rate } from './provider.ts'

const MILLI = 1000
const MICRO = 1_000_000
/** Others use the cloud's budget, too, and calls arrive there neither at once nor evenly. */
const RATE_SHARE = 0.95
const BURST_SHARE = 0.9
/** Of the full rate, so that a call now and then finds out. */
const LEAST_SHARE = 1 / 32
const STEPS = 20
/** After throttling nothing is sent for so long, unless the cloud names another time. */
const PAUSE_MS = 1000

export class Bucket {
  readonly #fullPerSecond: number
  readonly #burst: number
  /** Thousandths of tokens a second. */
  #rate: number
  #tokens: number
  #filledMs: number
  #pausedUntilMs = -Infinity

  /** What has filled when nobody has called for `quietMs`. */
  constructor({ burst, perSecond }: Rate, nowMs: number, quietMs = Infinity) {
    this.#fullPerSecond = Math.floor(perSecond * RATE_SHARE * MILLI)
    this.#burst = Math.max(1, Math.floor(burst * BURST_SHARE)) * MICRO
    this.#rate = this.#fullPerSecond
    this.#tokens = Math.min(this.#burst, Math.max(0, quietMs) * this.#rate)
    this.#filledMs = nowMs
  }

  /** Calls a second that it allows now. */
  get perSecond(): number {
    return this.#rate / MILLI
  }

  /** Calls that it allows at once. */
  tokens(nowMs: number): number {
    this.#fill(nowMs)
    return nowMs < this.#pausedUntilMs ? 0 : Math.floor(this.#tokens / MICRO)
  }

  /** Takes one; false, and nothing taken, when fewer than `reserve` would be left. */
  take(nowMs: number, reserve = 0): boolean {
    if (this.tokens(nowMs) < 1 + reserve) return false
    this.#tokens -= MICRO
    return true
  }

  /** When so many can be had; now or earlier when they can be already. */
  readyMs(nowMs: number, count = 1): number {
    this.#fill(nowMs)
    const lacking = Math.max(0, count * MICRO - this.#tokens)
    return Math.max(this.#pausedUntilMs, nowMs + Math.ceil(lacking / this.#rate))
  }

  /** How long one that comes after `before` others waits, in milliseconds. */
  waitMs(nowMs: number, before: number): number {
    this.#fill(nowMs)
    const lacking = Math.max(0, (before + 1) * MICRO - this.#tokens)
    return Math.max(this.#pausedUntilMs - nowMs, Math.ceil(lacking / this.#rate))
  }

  answered(): void {
    this.#rate = Math.min(this.#fullPerSecond, this.#rate + Math.ceil(this.#fullPerSecond / STEPS))
  }

  throttled(nowMs: number, retryAfterMs = 0): void {
    this.#fill(nowMs)
    this.#rate = Math.max(Math.ceil(this.#fullPerSecond * LEAST_SHARE), Math.floor(this.#rate / 2))
    this.#tokens = 0
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.max(PAUSE_MS, retryAfterMs))
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#filledMs) return
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledMs) * this.#rate)
    this.#filledMs = nowMs
  }
}
