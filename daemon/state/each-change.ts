/** Following tables without asking what changed in them. */
import { type Clock, systemClock } from './clock.ts'
import { Rest } from './rest.ts'
import type { ReadonlyTable } from './table.ts'

/**
 * Acts now and after each transaction that changes one of the tables, until the signal aborts; changes during an act
 * lead to one more, and so does the end of the milliseconds that an act answers. Rejects with what `act` throws.
 */
export async function eachChange(
  tables: readonly Pick<ReadonlyTable<unknown>, 'changed'>[],
  act: () => Promise<number | void> | number | void,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const rest = new Rest(clock)
  signal.addEventListener('abort', rest.wake, { once: true })
  try {
    while (!signal.aborted) {
      rest.begin(...tables.map(table => table.changed()))
      const againMs = await act()
      await rest.until(againMs === undefined ? Infinity : clock.now() + againMs)
    }
  } finally {
    rest.end()
    signal.removeEventListener('abort', rest.wake)
  }
}
