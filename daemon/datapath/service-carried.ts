/** What the maps hold of one frontend, and what it takes. Pure. */
import type { HeldTable } from './maglev-tables.ts'
import { type Entries, NO_ENTRIES } from './service-room.ts'
import type { Backend, ServiceKey } from './shared.gen.ts'

/** What the maps hold of one frontend. */
export interface Carried {
  readonly id: number
  readonly key: ServiceKey
  readonly exclusive: boolean
  /** Who may use it, sorted; everybody when there are none. */
  readonly ranges: readonly string[]
  /** In the order of their slots. */
  readonly backends: readonly Backend[]
  /** Those of this node that other nodes may choose, in no order. */
  readonly direct: readonly Backend[]
  readonly table: HeldTable | undefined
}

/** Each once: those that this node gives flows to, and those that other nodes do. */
export function allOf({ backends, direct }: Carried): readonly Backend[] {
  if (direct.length === 0) return backends
  const ids = new Set(backends.map(backend => backend.id))
  return [...backends, ...direct.filter(backend => !ids.has(backend.id))]
}

/** Backends that a carried frontend does not have. */
export function surplus(backends: readonly Backend[], carried: Carried | undefined): readonly Backend[] {
  if (carried === undefined) return backends
  const held = new Set(allOf(carried).map(backend => backend.id))
  return backends.filter(backend => !held.has(backend.id))
}

export function sameMembers(a: readonly Backend[], b: readonly Backend[]): boolean {
  const ids = new Set(b.map(backend => backend.id))
  return a.length === b.length && a.every(backend => ids.has(backend.id))
}

/** What a frontend takes, with the entry of its address. */
export function entriesOf(carried: Carried | undefined): Entries {
  if (carried === undefined) return NO_ENTRIES
  return {
    services: carried.exclusive ? 2 : 1,
    service_slots: carried.backends.length,
    backends: allOf(carried).length,
    source_ranges: carried.ranges.length,
    direct_backends: carried.direct.length,
  }
}
