/** The figures of one reconciler. */
import type { Counter, Gauge, Metrics } from '../plugin.ts'

export type Operation = 'update' | 'delete' | 'prune'

export class Meter {
  readonly #reconciler: string
  readonly #operations: Counter
  readonly #errors: Counter
  readonly #foundWrong: Counter
  readonly #pending: Gauge
  #lastPending: number | undefined

  constructor(reconciler: string, metrics: Pick<Metrics, 'counter' | 'gauge'>) {
    const labels = ['reconciler', 'operation']
    this.#reconciler = reconciler
    this.#operations = metrics.counter(
      'reconciler_operations_total',
      'Rows carried to a target, or pruned there',
      labels,
    )
    this.#errors = metrics.counter('reconciler_errors_total', 'Failed attempts to carry a row or to prune', labels)
    this.#foundWrong = metrics.counter(
      'reconciler_found_wrong_total',
      'Rows that a refresh found changed, missing or left over in the target',
      labels,
    )
    this.#pending = metrics.gauge('reconciler_pending_rows', 'Rows that have not reached their target', ['reconciler'])
  }

  done(operation: Operation, rows: number): void {
    if (rows > 0) this.#operations.inc({ reconciler: this.#reconciler, operation }, rows)
  }
  failed(operation: Operation, rows: number): void {
    this.#errors.inc({ reconciler: this.#reconciler, operation }, rows)
  }
  foundWrong(operation: Operation, rows: number): void {
    if (rows > 0) this.#foundWrong.inc({ reconciler: this.#reconciler, operation }, rows)
  }
  pending(rows: number): void {
    if (rows === this.#lastPending) return
    this.#lastPending = rows
    this.#pending.set(rows, { reconciler: this.#reconciler })
  }
}
