/** Long lists, a part of them a turn of the event loop. */
import { setImmediate } from 'node:timers/promises'

/** Items between two turns: some milliseconds at most, for what takes about a microsecond each. */
const AT_ONCE = 2048

/** Visits every item; those that come meanwhile as the iterator says. */
export async function inTurns<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  let seen = 0
  for (const item of items) {
    if (++seen % AT_ONCE === 0) await setImmediate()
    visit(item)
  }
}
