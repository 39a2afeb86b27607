/** A reconciler under test: its target in memory, which writes down what it is asked, and a clock that stands still. */
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { FakeMetrics } from '../../../test/support/fake-metrics.ts'
import { Reconciler } from '../reconcile.ts'
import { type ReadonlyTable, Table } from '../table.ts'
import type { Target } from '../target.ts'

export interface Row {
  readonly key: string
  readonly value: number
}

/** Fails where it is told to. */
export class MemoryTarget implements Target<Row> {
  readonly rows = new Map<string, number>()
  readonly calls: string[] = []
  readonly broken = new Set<string>()
  #gate: Promise<void> | undefined

  update(row: Row, previous: Row | undefined): boolean | Promise<boolean> {
    this.calls.push(`put ${row.key}=${row.value}${previous ? ` was ${previous.value}` : ''}`)
    this.#check(row.key)
    const wrong = this.rows.get(row.key) !== row.value
    this.rows.set(row.key, row.value)
    return this.#gate ? this.#gate.then(() => wrong) : wrong
  }
  delete(row: Row): void {
    this.calls.push(`delete ${row.key}=${row.value}`)
    this.#check(row.key)
    this.rows.delete(row.key)
  }
  prune(desired: ReadonlyTable<Row>): number {
    this.calls.push('prune')
    this.#check('prune')
    const extra = [...this.rows.keys()].filter(key => desired.get(key) === undefined)
    for (const key of extra) this.rows.delete(key)
    return extra.length
  }
  /** Makes updates wait until the result is called. */
  hold(): () => void {
    const gate = Promise.withResolvers<void>()
    this.#gate = gate.promise
    return () => {
      this.#gate = undefined
      gate.resolve()
    }
  }
  /** Calls since the last look. */
  said(): string {
    return this.calls.splice(0).join(', ')
  }
  toString(): string {
    return [...this.rows]
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(' ')
  }
  #check(key: string): void {
    if (this.broken.has(key)) throw new Error(`${key} is broken`)
  }
}

export class BatchTarget extends MemoryTarget {
  updateBatch(rows: readonly Row[]): number {
    this.calls.push(`batch of ${rows.length}`)
    if (rows.some(row => this.broken.has(row.key))) throw new Error('batch is broken')
    const wrong = rows.filter(row => this.rows.get(row.key) !== row.value)
    for (const row of wrong) this.rows.set(row.key, row.value)
    return wrong.length
  }
  deleteBatch(rows: readonly Row[]): void {
    this.calls.push(`delete ${rows.map(row => row.key).join(' ')}`)
    for (const row of rows) this.rows.delete(row.key)
  }
}

export const never = new AbortController().signal

/** `run` starts it; it goes on until the signal aborts, or for good without one. */
export function started(target: MemoryTarget = new MemoryTarget(), random = 0) {
  const table = new Table<Row>('rows', row => row.key)
  const clock = new FakeClock()
  const log = new FakeLog()
  const metrics = new FakeMetrics()
  const reconciler = new Reconciler({
    name: 'memory',
    table,
    target,
    log,
    metrics,
    clock,
    retry: { random: () => random },
  })
  const run = (signal = never): Promise<void> => reconciler.start(signal)
  return { table, target, clock, log, metrics, reconciler, run }
}
