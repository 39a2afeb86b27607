/** Writing the whole of what a planner or a source knows, without touching rows that are as they should be. */
import { isDeepStrictEqual } from 'node:util'
import type { Table } from './table.ts'

/**
 * Makes `rows` the only rows of the table for which `mine` holds: puts those that are new or differ, deletes the rest.
 * Rows of other writers are left alone. Returns the table's revision afterwards.
 */
export function replaceRows<T>(table: Table<T>, rows: Iterable<T>, mine: (row: T) => boolean = () => true): number {
  const wanted = new Set<string>()
  for (const row of rows) {
    const key = table.keyOf(row)
    wanted.add(key)
    const old = table.get(key)
    if (old === undefined || !isDeepStrictEqual(old, row)) table.put(row)
  }
  for (const row of table.values()) {
    const key = table.keyOf(row)
    if (mine(row) && !wanted.has(key)) table.delete(key)
  }
  return table.revision
}
