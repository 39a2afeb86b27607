/** Tables as text and as values in a stable order, for the API, `causeway status --table` and scenario tests. */
import type { ReadonlyTable } from './table.ts'

/** All rows in the order of their keys (by code unit, so that no locale changes it). */
export function sortedRows<T>(table: Pick<ReadonlyTable<T>, 'values' | 'keyOf'>): T[] {
  const keyed = [...table.values()].map(row => ({ key: table.keyOf(row), row }))
  return keyed.sort((a, b) => compare(a.key, b.key)).map(({ row }) => row)
}

/**
 * The table as a JSON array, a row a line, members in alphabetical order: equal tables give equal text. Bigints are
 * written as decimal strings.
 */
export function dump<T>(table: Pick<ReadonlyTable<T>, 'values' | 'keyOf'>): string {
  const rows = sortedRows(table).map(row => `  ${JSON.stringify(row, ordered)}`)
  return rows.length === 0 ? '[]\n' : `[\n${rows.join(',\n')}\n]\n`
}

function ordered(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compare(a, b)))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
