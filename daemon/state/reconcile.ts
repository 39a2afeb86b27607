/**
 * Carries a table to a target — eBPF maps, kernel routes, a cloud — and keeps it there. Changes of one synchronous
 * block are carried together in the next microtasks; what fails is tried again; at long intervals everything is
 * carried once more, to find what somebody else has changed.
 */
import type { AnyReconciler, Logger, Metrics } from '../plugin.ts'
import { type Clock, systemClock } from './clock.ts'
import { Meter, type Operation } from './meter.ts'
import { Rest } from './rest.ts'
import { NotSettled, Waiters } from './settle.ts'
import type { Follower, Table } from './table.ts'
import { type Carrying, deleteAll, type Outcome, type Target, updateAll } from './target.ts'
import { type Failure, nextFailure, type RetryTimes, type Work, WorkQueue } from './work.ts'

export interface ReconcilerOptions<T> {
  /** Names the target in logs, metrics and status, such as `kernel-routes`. */
  readonly name: string
  readonly table: Table<T>
  readonly target: Target<T>
  readonly log: Pick<Logger, 'warn' | 'debug'>
  readonly metrics: Pick<Metrics, 'counter' | 'gauge'>
  readonly clock?: Clock
  /** 100 ms doubling to 60 s unless given. */
  readonly retry?: Partial<RetryTimes>
  /** 30 min unless given. */
  readonly refreshMs?: number
}

/** What a reconciler has not carried yet and why. */
export interface ReconcilerStatus {
  readonly name: string
  readonly table: string
  /** Revision of the table up to which changes were taken. */
  readonly revision: number
  /** Writers whose first sync is still to come; nothing is pruned before. */
  readonly waitingFor: readonly string[]
  readonly pruned: boolean
  readonly pruneError?: string
  readonly pending: readonly {
    readonly key: string
    readonly operation: Operation
    readonly attempts: number
    readonly error?: string
    readonly retryInMs?: number
  }[]
}

/** Rows carried before the table is looked at again and other work of the event loop gets its turn. */
const SLICE = 256

/** A table, its target and the loop between them; the loop runs from `start` until its signal aborts. */
export class Reconciler<T> implements AnyReconciler {
  readonly name: string
  readonly #table: Table<T>
  readonly #target: Target<T>
  readonly #log: ReconcilerOptions<T>['log']
  readonly #clock: Clock
  readonly #refreshMs: number
  readonly #times: RetryTimes
  readonly #meter: Meter
  readonly #queue: WorkQueue<T>
  readonly #rest: Rest
  readonly #waiters = new Waiters()
  /** What the target holds as far as this process knows. */
  readonly #carried = new Map<string, T>()
  /** Keys still to be carried once more in the refresh that is under way. */
  #refreshing: string[] = []
  #refreshAt = Infinity
  /** Why to prune: at start, for leftovers of a failed attempt, or in a refresh. */
  #pruneFor: 'start' | 'leftovers' | 'refresh' | undefined = 'start'
  #pruneFailure: Failure | undefined
  #pruned = false
  #revision = 0
  #running = false
  #stopped = false

  constructor(options: ReconcilerOptions<T>) {
    this.name = options.name
    this.#table = options.table
    this.#target = options.target
    this.#log = options.log
    this.#clock = options.clock ?? systemClock
    this.#refreshMs = options.refreshMs ?? 30 * 60_000
    this.#times = { minRetryMs: 100, maxRetryMs: 60_000, random: Math.random, ...options.retry }
    this.#meter = new Meter(options.name, options.metrics)
    this.#queue = new WorkQueue(this.#times)
    this.#rest = new Rest(this.#clock)
  }

  /** Runs until the signal aborts; then everyone who still waits is told so. */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new TypeError(`reconciler ${this.name} runs already`)
    this.#running = true
    this.#stopped = false
    this.#refreshAt = this.#clock.now() + this.#refreshMs
    signal.addEventListener('abort', this.#rest.wake, { once: true })
    using follower = this.#table.follow(this.name)
    try {
      // The block that starts the reconciler is a transaction too.
      await Promise.resolve()
      while (!signal.aborted) await this.#round(follower, signal)
    } finally {
      this.#running = false
      this.#stopped = true
      this.#rest.end()
      signal.removeEventListener('abort', this.#rest.wake)
      this.#waiters.fail(key => this.#notSettled(key))
    }
  }

  /**
   * Resolves when the row of `key`, or its absence, has been carried at `revision` or later (as `put` and `delete`
   * return it). Rejects with NotSettled, whose message and cause say what failed last, when the signal aborts or the
   * reconciler stops, and at once when it has stopped; one that is still to start is waited for.
   */
  settled(key: string, revision: number, signal: AbortSignal): Promise<void> {
    if (this.#isSettled(key, revision)) return Promise.resolve()
    if (this.#stopped) return Promise.reject(this.#notSettled(key))
    return this.#waiters.wait(key, revision, signal, () => this.#notSettled(key))
  }

  /**
   * Carries everything once more as soon as possible, as after an event that says somebody changed the target; after the
   * refresh that is under way, if one is, so that frequent events do not keep it from its end.
   */
  refresh(): void {
    this.#refreshAt = this.#clock.now()
    this.#rest.wake()
  }

  status(): ReconcilerStatus {
    return {
      name: this.name,
      table: this.#table.name,
      revision: this.#revision,
      waitingFor: this.#table.pending,
      pruned: this.#pruned,
      ...(this.#pruneFailure && { pruneError: textOf(this.#pruneFailure.error) }),
      pending: [...this.#queue.values()].map(work => this.#describe(work)),
    }
  }

  #describe({ key, gone, failure }: Work<T>): ReconcilerStatus['pending'][number] {
    const operation = gone ? 'delete' : 'update'
    if (!failure) return { key, operation, attempts: 0 }
    const retryInMs = Math.max(0, Math.ceil(failure.retryAt - this.#clock.now()))
    return { key, operation, attempts: failure.attempts, error: textOf(failure.error), retryInMs }
  }

  /** One look at the table and at what is due; rests when nothing is. */
  async #round(follower: Follower<T>, signal: AbortSignal): Promise<void> {
    this.#rest.begin(this.#table.changed())
    this.#take(follower)
    const now = this.#clock.now()
    this.#queue.wake(now)
    if (this.#queue.ready) await this.#carry(signal)
    else if (this.#refreshing.length > 0) await this.#carryAgain(signal)
    else if (this.#pruneAt() <= now) await this.#prune(signal)
    else if (this.#refreshAt <= now) await this.#beginRefresh(signal)
    else {
      this.#meter.pending(this.#queue.size)
      await this.#rest.until(Math.min(this.#queue.nextRetryAt, this.#refreshAt, this.#pruneAt()))
      return
    }
    if (this.#queue.ready || this.#refreshing.length > 0) await this.#clock.turn()
  }

  #take(follower: Follower<T>): void {
    if (follower.revision === this.#table.revision) return
    const { revision, updated, deleted } = follower.take()
    for (const row of deleted) this.#add(row, true)
    for (const row of updated) this.#add(row, false)
    this.#revision = revision
    this.#release()
  }

  #add(row: T, gone: boolean): void {
    // An attempt that failed half-way may have left parts that neither the carried nor the new row names.
    if (this.#queue.add(this.#table.keyOf(row), row, gone)) this.#pruneFor ??= 'leftovers'
  }

  /** Deletions first: what they free may be wanted by a row that came with them. */
  async #carry(signal: AbortSignal): Promise<void> {
    const works = this.#queue.take(SLICE)
    const gone = works.filter(work => work.gone)
    const there = works.filter(work => !work.gone)
    const by = this.#by(signal)
    if (gone.length > 0) this.#report('delete', await deleteAll(this.#target, gone, by), signal)
    if (there.length > 0) this.#report('update', await updateAll(this.#target, there, by), signal)
    this.#release()
  }

  async #beginRefresh(signal: AbortSignal): Promise<void> {
    this.#refreshAt = this.#clock.now() + this.#refreshMs
    // What an earlier reason to prune finds is nobody's mistake.
    this.#pruneFor ??= 'refresh'
    this.#refreshing = await this.#toRefresh(signal)
  }

  /** Keys of carried rows: all, or those that the target says it lacks; it may be asked in vain. */
  async #toRefresh(signal: AbortSignal): Promise<string[]> {
    if (this.#target.differing === undefined) return [...this.#carried.keys()]
    try {
      const rows = await this.#target.differing(this.#carried.values(), signal)
      return Array.from(rows, row => this.#table.keyOf(row))
    } catch (error) {
      this.#log.debug(
        { reconciler: this.name, error },
        'the target cannot tell what it lacks; every row is carried again',
      )
      return [...this.#carried.keys()]
    }
  }

  /** Carries some rows of a refresh; keys that are to be carried anyway are left out. */
  async #carryAgain(signal: AbortSignal): Promise<void> {
    const works = this.#refreshing.splice(0, SLICE).flatMap(key => {
      const row = this.#carried.get(key)
      return row === undefined || this.#queue.get(key) ? [] : [{ key, row, gone: false }]
    })
    const outcome = await updateAll(this.#target, works, this.#by(signal))
    this.#meter.foundWrong('update', outcome.changed)
    this.#report('update', outcome, signal)
  }

  #by(signal: AbortSignal): Carrying<T> {
    return { previous: this.#carried, turn: () => this.#clock.turn(), signal }
  }

  #report(operation: Operation, { done, failed }: Outcome<T>, signal: AbortSignal): void {
    for (const work of done) {
      this.#queue.done(work)
      if (work.gone) this.#carried.delete(work.key)
      else this.#carried.set(work.key, work.row)
    }
    this.#meter.done(operation, done.length)
    if (failed.length === 0 || signal.aborted) return
    this.#meter.failed(operation, failed.length)
    const now = this.#clock.now()
    const failures = failed.map(({ work, error }) => ({ key: work.key, ...this.#queue.failed(work, error, now) }))
    this.#logFailures(operation, failures)
  }

  /** One line a round, loud only when something failed for the first time. */
  #logFailures(operation: Operation, failures: readonly (Failure & { readonly key: string })[]): void {
    const first = failures.find(failure => failure.attempts === 1) ?? failures[0]
    if (!first) return
    const fields = { reconciler: this.name, key: first.key, rows: failures.length, error: first.error }
    const log = first.attempts === 1 ? this.#log.warn : this.#log.debug
    log.call(this.#log, fields, `${operation} failed and will be tried again`)
  }

  /** When to prune: never before the table is initialized. */
  #pruneAt(): number {
    if (!this.#pruneFor || !this.#table.initialized) return Infinity
    return this.#pruneFailure?.retryAt ?? 0
  }

  async #prune(signal: AbortSignal): Promise<void> {
    try {
      const removed = await this.#target.prune(this.#table, signal)
      this.#meter.done('prune', removed)
      if (this.#pruneFor === 'refresh') this.#meter.foundWrong('prune', removed)
      this.#pruneFor = undefined
      this.#pruneFailure = undefined
      this.#pruned = true
    } catch (error) {
      if (signal.aborted) return
      this.#meter.failed('prune', 1)
      this.#pruneFailure = nextFailure(this.#pruneFailure, error, this.#clock.now(), this.#times)
      this.#logFailures('prune', [{ key: '*', ...this.#pruneFailure }])
    }
  }

  #isSettled(key: string, revision: number): boolean {
    return this.#revision >= revision && !this.#queue.get(key)
  }

  #release(): void {
    if (this.#waiters.size > 0) this.#waiters.release((key, revision) => this.#isSettled(key, revision))
  }

  #notSettled(key: string): NotSettled {
    const failure = this.#queue.get(key)?.failure
    const what = `row '${key}' of table ${this.#table.name} has not reached ${this.name}`
    if (failure) {
      const tries = failure.attempts === 1 ? '1 attempt' : `${failure.attempts} attempts`
      return new NotSettled(`${what} in ${tries}: ${textOf(failure.error)}`, { cause: failure.error })
    }
    return new NotSettled(`${what}: ${this.#running ? 'its turn has not come' : 'the reconciler does not run'}`)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
