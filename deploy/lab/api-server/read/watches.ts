/** The watches that are open, for faults and counters to find them. */
import { subjectOf } from '../call.ts'
import type { Counters } from '../counters.ts'
import type { Faults, SetFault } from '../faults/faults.ts'
import { type About, qualified } from '../status.ts'
import type { Watch } from './watch.ts'

export class Watches {
  readonly #open = new Set<Watch>()
  readonly #counters: Counters

  constructor(counters: Counters) {
    this.#counters = counters
  }

  /** The answer takes the watch out again. */
  add(watch: Watch): () => void {
    const subject = subjectOf(watch.target)
    this.#open.add(watch)
    this.#counters.watchOpened(subject, 1)
    return () => {
      if (this.#open.delete(watch)) this.#counters.watchOpened(subject, -1)
    }
  }

  /** Lets a fault that has just been set meet those that are open already, if it is one that does. */
  meet(fault: SetFault, faults: Faults): void {
    const { kind } = fault.options
    if (kind !== 'silent-watch' && kind !== 'cut') return
    for (const watch of this.#open) {
      if (!faults.meets(fault, watch.target)) continue
      faults.happen(fault)
      if (kind === 'cut') watch.cut()
      else watch.silence()
    }
  }

  /** Ends those of a resource that is no longer served. */
  endOf(resource: About): void {
    for (const watch of this.#open) if (watch.target.resource === qualified(resource)) watch.end()
  }

  /** Ends all, as a server does that is told to stop. */
  end(): void {
    for (const watch of this.#open) watch.end()
  }
}
