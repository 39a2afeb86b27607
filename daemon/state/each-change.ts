/** Following tables without asking what changed in them. */
import { systemClock } from './clock.ts'
import { Rest } from './rest.ts'
import type { ReadonlyTable } from './table.ts'

/**
 * Acts now and after each transaction that changes one of the tables, until the signal aborts; changes during an act
 * lead to one more. Rejects with what `act` throws.
 */
export async function eachChange(
  tables: readonly Pick<ReadonlyTable<unknown>, 'changed'>[],
  act: () => Promise<void> | void,
  signal: AbortSignal,
): Promise<void> {
  const rest = new Rest(systemClock)
  signal.addEventListener('abort', rest.wake, { once: true })
  try {
    while (!signal.aborted) {
      rest.begin(...tables.map(table => table.changed()))
      await act()
      await rest.until(Infinity)
    }
  } finally {
    signal.removeEventListener('abort', rest.wake)
  }
}
