/**
 * What may still be asked of a cloud that answers with errors: when they go on, nothing is given back any more; when they go
 * on for longer, nothing is asked for but a call now and then, by which it is seen that they are over. Throttling, and a
 * subnet without addresses, are no errors.
 */
import type { Failure } from './model.ts'

export type Mode = 'normal' | 'no releases' | 'no growth'

/** Errors in a row, and for how long, before each. */
const NO_RELEASES = { count: 3, ms: 15_000 }
const NO_GROWTH = { count: 10, ms: 60_000 }
/** While nothing grows one call is made so often. */
export const PROBE_MS = 30_000

export class Composure {
  #errors = 0
  #sinceMs: number | undefined
  #last: Failure | undefined
  #probedMs = -Infinity

  mode(nowMs: number): Mode {
    const lasted = this.#sinceMs === undefined ? -1 : nowMs - this.#sinceMs
    if (this.#errors >= NO_GROWTH.count && lasted >= NO_GROWTH.ms) return 'no growth'
    return this.#errors >= NO_RELEASES.count && lasted >= NO_RELEASES.ms ? 'no releases' : 'normal'
  }

  /** The last error while they go on. */
  get failure(): Failure | undefined {
    return this.#last
  }

  /** How many calls that make something grow may be made now. */
  growthCalls(nowMs: number): number {
    if (this.mode(nowMs) !== 'no growth') return Infinity
    return nowMs - this.#probedMs >= PROBE_MS ? 1 : 0
  }

  grew(nowMs: number): void {
    this.#probedMs = nowMs
  }

  answered(): void {
    this.#errors = 0
    this.#sinceMs = undefined
    this.#last = undefined
  }

  failed(failure: Failure, nowMs: number): void {
    const { kind } = failure
    if (kind === 'throttled' || kind === 'full' || kind === 'fragmented' || kind === 'limit' || kind === 'conflict')
      return
    this.#errors++
    this.#sinceMs ??= nowMs
    this.#last = failure
  }
}
