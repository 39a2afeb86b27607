/** What the maps hold of one frontend, and what it takes. Pure. */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { Address, BpfMap } from '../kernel/kernel.ts'
import type { HeldTable } from './maglev-tables.ts'
import { type Entries, NO_ENTRIES } from './service-room.ts'
import type { Backend, ServiceKey } from './shared.gen.ts'

/** With addresses as rows have them, whose texts are there anyway: bytes of their own would take four times as much. */
export type CarriedKey = Omit<ServiceKey, 'address'> & { readonly address: Address }
export type CarriedBackend = Omit<Backend, 'address'> & { readonly address: Address }

/** What the maps hold of one frontend. */
export interface Carried {
  readonly id: number
  readonly key: CarriedKey
  readonly exclusive: boolean
  /** Who may use it, sorted; everybody when there are none. */
  readonly ranges: readonly string[]
  /** In the order of their slots. */
  readonly backends: readonly CarriedBackend[]
  /** Those of this node that other nodes may choose, in no order. */
  readonly direct: readonly CarriedBackend[]
  readonly table: HeldTable | undefined
}

/** Each once: those that this node gives flows to, and those that other nodes do. */
export function allOf({ backends, direct }: Carried): readonly CarriedBackend[] {
  if (direct.length === 0) return backends
  const ids = new Set(backends.map(backend => backend.id))
  return [...backends, ...direct.filter(backend => !ids.has(backend.id))]
}

/** Backends that a carried frontend does not have. */
export function surplus(backends: readonly CarriedBackend[], carried: Carried | undefined): readonly CarriedBackend[] {
  if (carried === undefined) return backends
  const held = new Set(allOf(carried).map(backend => backend.id))
  return backends.filter(backend => !held.has(backend.id))
}

export function sameMembers(a: readonly CarriedBackend[], b: readonly CarriedBackend[]): boolean {
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

/** As the map `services` has it. */
export function keyBytes({ address, port, protocol, scope }: CarriedKey): ServiceKey {
  return { address: toMapped16(address), port, protocol, scope }
}

export function keyOfBytes({ address, port, protocol, scope }: ServiceKey): CarriedKey {
  return { address: fromMapped16(address), port, protocol, scope }
}

/** As the maps of backends have it. */
export function backendBytes({ address, port, id }: CarriedBackend): Backend {
  return { address: toMapped16(address), port, id }
}

export function backendOfBytes({ address, port, id }: Backend): CarriedBackend {
  return { address: fromMapped16(address), port, id }
}

/** What is known already, where the map says nothing else: a copy of each would stay until the next look. */
export function sameBackend(known: CarriedBackend | undefined, read: CarriedBackend): CarriedBackend {
  const same = known?.id === read.id && known.port === read.port && known.address === read.address
  return same ? known : read
}

/** Keys of a map's entries, which are never there all at once: there are a hundred thousand of them. */
export function keysOf<K>(map: Pick<BpfMap<K, unknown>, 'entries'>, wanted: (key: K) => boolean): K[] {
  const keys: K[] = []
  for (const [key] of map.entries()) if (wanted(key)) keys.push(key)
  return keys
}
