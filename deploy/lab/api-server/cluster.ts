/** What all requests share. */
import type { Users } from './access/users.ts'
import type { Counters } from './counters.ts'
import type { Faults } from './faults/faults.ts'
import type { Registry } from './kinds/registry.ts'
import type { Store } from './objects/store.ts'
import type { Watches } from './read/watches.ts'

export interface Cluster {
  readonly store: Store
  readonly registry: Registry
  readonly users: Users
  readonly faults: Faults
  readonly counters: Counters
  readonly watches: Watches
  /** How often a watch that asks for bookmarks gets one, in milliseconds. */
  readonly bookmarkMs: number
  /** Seconds since the epoch as the API writes them: `2026-01-02T03:04:05Z`. */
  readonly now: () => string
}
