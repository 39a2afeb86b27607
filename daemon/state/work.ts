/** What a reconciler still has to carry: the newest wish of each key, in the order the wishes came, and retries. */

/** Failed attempts at something and when the next one is due, in the clock's milliseconds. */
export interface Failure {
  readonly attempts: number
  readonly error: unknown
  readonly retryAt: number
}

/** A key whose row, or whose absence, is to be brought about. */
export interface Work<T> {
  readonly key: string
  readonly row: T
  readonly gone: boolean
  readonly failure?: Failure
}

export interface RetryTimes {
  readonly minRetryMs: number
  readonly maxRetryMs: number
  /** 0 ≤ x < 1. */
  readonly random: () => number
}

/** Doubling from the shortest wait to the longest, each shortened by up to a quarter so that retries spread. */
export function nextFailure(before: Failure | undefined, error: unknown, now: number, times: RetryTimes): Failure {
  const attempts = (before?.attempts ?? 0) + 1
  const wait = Math.min(times.maxRetryMs, times.minRetryMs * 2 ** Math.min(attempts - 1, 32))
  return { attempts, error, retryAt: now + wait * (1 - times.random() / 4) }
}

/** Pending work of one reconciler; no I/O, no clock. */
export class WorkQueue<T> {
  readonly #times: RetryTimes
  readonly #pending = new Map<string, Work<T>>()
  /** Work to be done now; entries that `#pending` no longer holds are void. */
  #ready: Work<T>[] = []
  /** The part of `#pending` that waits for its next attempt. */
  readonly #waiting = new Map<string, Failure>()
  #nextRetryAt = Infinity

  constructor(times: RetryTimes) {
    this.#times = times
  }

  get size(): number {
    return this.#pending.size
  }
  /** Whether something is to be done now. */
  get ready(): boolean {
    return this.#ready.length > 0
  }
  /** No retry is due before; infinite when there is none. */
  get nextRetryAt(): number {
    return this.#nextRetryAt
  }
  get(key: string): Work<T> | undefined {
    return this.#pending.get(key)
  }
  values(): Iterable<Work<T>> {
    return this.#pending.values()
  }

  /** A new wish for a key, to be done now; answers whether an attempt at the one it replaces had failed. */
  add(key: string, row: T, gone: boolean): boolean {
    const replaced = this.#pending.get(key)
    this.#waiting.delete(key)
    const work = { key, row, gone }
    this.#pending.set(key, work)
    this.#ready.push(work)
    return replaced?.failure !== undefined
  }

  /** Takes up to `limit` pieces to be done now; each is then reported by `done` or `failed`. */
  take(limit: number): Work<T>[] {
    const works = this.#ready.slice(0, limit)
    this.#ready = this.#ready.slice(limit)
    return works.filter(work => this.#pending.get(work.key) === work)
  }

  done(work: Work<T>): void {
    this.#pending.delete(work.key)
  }

  /** Keeps the work for a later attempt. */
  failed(work: Work<T>, error: unknown, now: number): Failure {
    const failure = nextFailure(work.failure, error, now, this.#times)
    this.#pending.set(work.key, { ...work, failure })
    this.#waiting.set(work.key, failure)
    this.#nextRetryAt = Math.min(this.#nextRetryAt, failure.retryAt)
    return failure
  }

  /** Makes work whose retry is due ready. */
  wake(now: number): void {
    if (now < this.#nextRetryAt) return
    this.#nextRetryAt = Infinity
    for (const [key, { retryAt }] of this.#waiting) {
      const work = this.#pending.get(key)
      if (work && retryAt <= now) {
        this.#waiting.delete(key)
        this.#ready.push(work)
      } else this.#nextRetryAt = Math.min(this.#nextRetryAt, retryAt)
    }
  }
}
