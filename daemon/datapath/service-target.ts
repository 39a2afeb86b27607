/**
 * Carries the table `frontends` into the maps that translate services. A service's slots hold the backends that take new
 * flows; ids of services and backends are given once and found again in the maps after a restart, so that what was
 * remembered by them stays true.
 */
import { joined } from '../kernel/joined.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import type { BackendRow, FrontendRow } from '../state/service-rows.ts'
import type { ReadonlyTable } from '../state/table.ts'
import type { Target } from '../state/target.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import { tableCandidates } from '../service/table-candidates.ts'
import { MaglevTables, type TableBlocks } from './maglev-tables.ts'
import { type DirectChange, type DirectMap, directByService, removeDirect, writeDirect } from './service-direct.ts'
import {
  allOf,
  backendBytes,
  backendOfBytes,
  type Carried,
  type CarriedBackend,
  type CarriedKey,
  entriesOf,
  keyBytes,
  keyOfBytes,
  keysOf,
  sameBackend,
  sameMembers,
  surplus,
} from './service-carried.ts'
import { type Entries, EntryCount, NO_ENTRIES } from './service-room.ts'
import type { LostBackends } from './socket-ends.ts'
import { isAddress, ServiceAddresses } from './service-addresses.ts'
import { type IdsMap, ServiceIds } from './service-ids.ts'
import { rangesByService, replaceRanges } from './service-ranges.ts'
import { type Backend, ServiceFlags, type ServiceKey, ServiceScope } from './shared.gen.ts'
import type { ServiceValue, SlotKey, SourceRangeKey } from './shared.gen.ts'

const SCOPE = { inside: ServiceScope.SERVICE_INSIDE, outside: ServiceScope.SERVICE_OUTSIDE } as const

export interface ServiceMaps {
  readonly services: BpfMap<ServiceKey, ServiceValue>
  readonly ranges: BpfMap<SourceRangeKey, number>
  readonly slots: BpfMap<SlotKey, Backend>
  readonly backends: BpfMap<number, Backend>
  readonly direct: DirectMap
  readonly ids: IdsMap
  readonly tables: TableBlocks
}

export interface ServiceTargetOptions {
  /** A growing map is replaced, so the current ones are asked for each time. */
  readonly maps: () => ServiceMaps
  /** Of the Maglev tables. */
  readonly seed: string
  /** Told of backends that nobody can be given any more. */
  readonly onLost?: (lost: readonly LostBackends[]) => void
  /** Makes room for so many entries; undefined when there is. */
  readonly room?: (entries: Entries) => Promise<void> | undefined
}

export class ServiceTarget implements Target<FrontendRow> {
  readonly #maps: () => ServiceMaps
  readonly #onLost: (lost: readonly LostBackends[]) => void
  readonly #room: (entries: Entries) => Promise<void> | undefined
  readonly #addresses: ServiceAddresses
  readonly #tables: MaglevTables
  readonly #ids: ServiceIds
  #carried: Map<string, Carried> | undefined
  /** Of all that is carried. */
  #entries = new EntryCount()

  constructor({ maps, seed, onLost = () => {}, room = () => undefined }: ServiceTargetOptions) {
    this.#maps = maps
    this.#onLost = onLost
    this.#room = room
    this.#addresses = new ServiceAddresses(() => maps().services)
    this.#tables = new MaglevTables(() => maps().tables, seed)
    this.#ids = new ServiceIds(
      () => maps().ids,
      (kind, id) => (kind === 'services' ? this.#hasService(id) : maps().backends.lookup(id) !== undefined),
    )
  }

  update(row: FrontendRow): boolean | Promise<boolean> {
    const changed = this.updateBatch([row])
    return typeof changed === 'number' ? changed > 0 : changed.then(count => count > 0)
  }

  updateBatch(rows: readonly FrontendRow[]): number | Promise<number> {
    const carried = this.#known()
    const changed = rows.map(row => this.#plan(row, carried.get(keyOf(row)))).filter(plan => plan.changed)
    const most = new EntryCount(this.#entries.now)
    for (const { have, next } of changed) most.grow(entriesOf(have), entriesOf(next))
    return this.#room(most.now)?.then(() => this.#carry(changed)) ?? this.#carry(changed)
  }

  #carry(changed: readonly Plan[]): number {
    const plans: Plan[] = []
    try {
      for (const plan of changed) plans.push(this.#withTable(plan))
      this.#write(plans)
    } catch (error) {
      for (const { next } of plans) if (next.table !== undefined) this.#tables.release(next.table)
      throw error
    }
    for (const { row, have, next } of plans) {
      this.#known().set(keyOf(row), next)
      this.#entries.change(entriesOf(have), entriesOf(next))
    }
    return plans.length
  }

  delete(row: FrontendRow): void {
    this.#remove([keyOf(row)])
  }

  deleteBatch(rows: readonly FrontendRow[]): void {
    this.#remove(rows.map(keyOf))
  }

  prune(desired: ReadonlyTable<FrontendRow>): number {
    const wanted = new Set([...desired.values()].map(keyOf))
    const surplus = [...this.#read().keys()].filter(key => !wanted.has(key))
    this.#remove(surplus)
    return surplus.length + this.#sweep() + this.#addresses.repair(exclusiveKeys(this.#known().values()))
  }

  /** Rows that the maps do not hold as they are; what they hold is read anew. */
  differing(rows: Iterable<FrontendRow>): FrontendRow[] {
    const held = this.#read()
    return [...rows].filter(row => {
      const have = held.get(keyOf(row))
      return have === undefined || this.#plan(row, have).changed
    })
  }

  /** By which the programs know a frontend; undefined while it is not carried. */
  idOf(row: FrontendRow): number | undefined {
    return this.#known().get(keyOf(row))?.id
  }

  #plan(row: FrontendRow, have: Carried | undefined): Plan {
    const key = have?.key ?? serviceKey(row)
    const id = have?.id ?? this.#ids.next('services')
    const ranges = row.sourceRanges.toSorted()
    const [backends, direct] = this.#give(row, have)
    const value = serviceValue(row, id, backends.length, ranges.length > 0)
    const signature = needsTable(row) ? this.#tables.signature(tableCandidates(row), row.tableSize) : 0n
    const held = have === undefined ? undefined : this.#maps().services.lookup(keyBytes(key))
    const same =
      have !== undefined &&
      held !== undefined &&
      sameValue(held, value) &&
      held.tableSignature === signature &&
      ranges.join() === have.ranges.join() &&
      backends.length === have.backends.length &&
      backends.every((backend, i) => backend.id === have.backends[i]?.id) &&
      sameMembers(direct, have.direct)
    return {
      row,
      key,
      value,
      have,
      signature,
      next: { id, key, exclusive: row.exclusive, ranges, backends, direct, table: undefined },
      changed: !same,
    }
  }

  /** Ids to a frontend's backends: those they have, else new ones; the same to one that stands in both lists. */
  #give(row: FrontendRow, have: Carried | undefined): readonly [backends: CarriedBackend[], direct: CarriedBackend[]] {
    if (have === undefined && row.direct.length === 0) return [row.backends.map(each => this.#newBackend(each)), []]
    const known = new Map(have === undefined ? [] : allOf(have).map(backend => [nameOf(backend), backend]))
    const give = (backend: BackendRow): CarriedBackend => {
      const name = `${backend.address} ${backend.port}`
      const given = known.get(name) ?? this.#newBackend(backend)
      known.set(name, given)
      return given
    }
    return [row.backends.map(give), row.direct.map(give)]
  }

  #newBackend({ address, port }: BackendRow): CarriedBackend {
    return { address, port, id: this.#ids.next('backends') }
  }

  /**
   * Backends before the slots that lead to them, slots before the number of those that count, and the other way round for
   * what goes: at no moment does a client find a place that is empty.
   */
  #write(changed: readonly Plan[]): void {
    const { services, slots, backends, direct } = this.#maps()
    this.#ids.save()
    const others = directChanges(changed)
    const fresh = changed.flatMap(({ have, next }) => surplus(allOf(next), have))
    const bytes = new Map(fresh.map(backend => [backend.id, backendBytes(backend)]))
    backends.updateBatch(bytes)
    writeDirect(direct, others)
    slots.updateBatch(
      changed.flatMap(({ have, next }) =>
        next.backends.flatMap((backend, index) =>
          have?.backends[index]?.id === backend.id
            ? []
            : [[{ service: next.id, index }, bytes.get(backend.id) ?? backendBytes(backend)] as const],
        ),
      ),
    )
    // While a service gets other ranges, those of before and after both count, but never none.
    for (const { next } of changed) replaceRanges(this.#maps().ranges, next.id, [], next.ranges)
    services.updateBatch(changed.map(({ key, value }) => [keyBytes(key), value] as const))
    for (const { have, next } of changed) replaceRanges(this.#maps().ranges, next.id, have?.ranges, next.ranges)
    this.#addresses.change(
      exclusiveKeys(changed.flatMap(({ have }) => have ?? [])),
      exclusiveKeys(changed.map(({ next }) => next)),
    )
    slots.deleteBatch(changed.flatMap(({ have, next }) => surplusSlots(next.id, next.backends.length, have)))
    removeDirect(direct, others)
    const lost = changed.flatMap(({ key, have, next }) =>
      have === undefined ? [] : [{ frontend: key, backends: surplus(allOf(have), next) }],
    )
    backends.deleteBatch(lost.flatMap(of => of.backends.map(backend => backend.id)))
    for (const { have } of changed) if (have?.table !== undefined) this.#tables.release(have.table)
    this.#onLost(lost.filter(of => of.backends.length > 0))
  }

  /** The table is in place before the service that leads to it. */
  #withTable(plan: Plan): Plan {
    const { row, value, signature, next } = plan
    if (!needsTable(row)) return plan
    const table = this.#tables.hold(tableCandidates(row), row.tableSize, signature)
    const { first, size } = table
    return {
      ...plan,
      value: { ...value, table: first, tableSize: size, tableSignature: signature },
      next: { ...next, table },
    }
  }

  #remove(keys: readonly string[]): void {
    const { services, slots, backends, direct } = this.#maps()
    const carried = this.#known()
    const gone = keys.flatMap(key => carried.get(key) ?? [])
    services.deleteBatch(gone.map(({ key }) => keyBytes(key)))
    this.#addresses.change(exclusiveKeys(gone), [])
    for (const { id, ranges } of gone) replaceRanges(this.#maps().ranges, id, ranges, [])
    slots.deleteBatch(gone.flatMap(entry => surplusSlots(entry.id, 0, entry)))
    removeDirect(
      direct,
      gone.map(entry => ({ service: entry.id, before: entry.direct, after: [] })),
    )
    backends.deleteBatch(gone.flatMap(entry => allOf(entry).map(backend => backend.id)))
    for (const { table } of gone) if (table !== undefined) this.#tables.release(table)
    for (const key of keys) carried.delete(key)
    for (const entry of gone) this.#entries.change(entriesOf(entry), NO_ENTRIES)
    this.#onLost(gone.map(entry => ({ frontend: entry.key, backends: allOf(entry) })))
  }

  /** What a daemon that was killed between two writes left: slots and backends that no service leads to. */
  #sweep(): number {
    const { slots, backends, direct } = this.#maps()
    const carried = [...this.#known().values()]
    const lengths = new Map(carried.map(({ id, backends: of }) => [id, of.length]))
    const kept = new Set(carried.flatMap(entry => allOf(entry).map(backend => backend.id)))
    const lostSlots = keysOf(slots, key => key.index >= (lengths.get(key.service) ?? 0))
    const lostBackends = keysOf(backends, id => !kept.has(id))
    const lostDirect = keysOf(direct, key => !lengths.has(key.service))
    slots.deleteBatch(lostSlots)
    direct.deleteBatch(lostDirect)
    backends.deleteBatch(lostBackends)
    return lostSlots.length + lostDirect.length + lostBackends.length
  }

  #hasService(id: number): boolean {
    return [...this.#known().values()].some(carried => carried.id === id)
  }

  #known(): Map<string, Carried> {
    return this.#carried ?? this.#read()
  }

  /** Looks at all the maps hold. */
  #read(): Map<string, Carried> {
    const { services, slots, backends } = this.#maps()
    const byService = new Map<number, CarriedBackend[]>()
    const ranges = rangesByService(this.#maps().ranges)
    const direct = directByService(this.#maps().direct)
    const before = new Map([...(this.#carried?.values() ?? [])].map(carried => [carried.id, carried.backends]))
    for (const [{ service, index }, backend] of slots.entries()) {
      const list = byService.get(service) ?? []
      list[index] = sameBackend(before.get(service)?.[index], backendOfBytes(backend))
      byService.set(service, list)
    }
    const carried = new Map<string, Carried>()
    for (const [
      key,
      { id, count, flags, table: first, tableSize: size, tableSignature: signature },
    ] of services.entries()) {
      if (isAddress(key)) continue
      // A hole is what a killed daemon left: what follows it is written anew.
      const list = Array.from({ length: count }, (_, i) => byService.get(id)?.[i])
      const hole = list.indexOf(undefined)
      const whole = (hole < 0 ? list : list.slice(0, hole)) as CarriedBackend[]
      const exclusive = (flags & ServiceFlags.SERVICE_EXCLUSIVE) !== 0
      const table = size === 0 ? undefined : { first, size, signature }
      const [own, others] = [ranges.get(id) ?? [], direct.get(id) ?? []]
      const place = keyOfBytes(key)
      carried.set(textOf(place), { id, key: place, exclusive, ranges: own, backends: whole, direct: others, table })
    }
    this.#ids.read({
      services: highest([...carried.values()].map(({ id }) => id)),
      backends: highest(keysOf(backends, () => true)),
    })
    this.#carried = carried
    this.#entries = new EntryCount()
    for (const entry of carried.values()) this.#entries.change(NO_ENTRIES, entriesOf(entry))
    this.#addresses.read(exclusiveKeys(carried.values()))
    this.#tables.read([...carried.values()].flatMap(({ table }) => table ?? []))
    return carried
  }
}

interface Plan {
  readonly row: FrontendRow
  readonly key: CarriedKey
  readonly value: ServiceValue
  readonly have: Carried | undefined
  /** Of the table it needs; 0 when it needs none. */
  readonly signature: bigint
  readonly next: Carried
  readonly changed: boolean
}

function highest(ids: readonly number[]): number {
  return ids.reduce((most, id) => Math.max(most, id), 0)
}

function directChanges(plans: readonly Plan[]): DirectChange[] {
  return plans
    .filter(({ have, next }) => next.direct.length > 0 || (have?.direct ?? []).length > 0)
    .map(({ have, next }) => ({ service: next.id, before: have?.direct ?? [], after: next.direct }))
}

function exclusiveKeys(carried: Iterable<Carried>): CarriedKey[] {
  return [...carried].filter(({ exclusive }) => exclusive).map(({ key }) => key)
}

function surplusSlots(service: number, from: number, have: Carried | undefined): SlotKey[] {
  const count = Math.max(0, (have?.backends.length ?? 0) - from)
  return Array.from({ length: count }, (_, i) => ({ service, index: from + i }))
}

function serviceKey(row: FrontendRow): CarriedKey {
  return {
    address: row.address,
    port: row.port,
    protocol: PROTOCOL_NUMBERS[row.protocol],
    scope: SCOPE[row.scope],
  }
}

function serviceValue(row: FrontendRow, id: number, count: number, ranged: boolean): ServiceValue {
  const flags =
    (row.exclusive ? ServiceFlags.SERVICE_EXCLUSIVE : 0) |
    (row.silent ? ServiceFlags.SERVICE_SILENT : 0) |
    (ranged ? ServiceFlags.SERVICE_RANGES : 0) |
    (row.algorithm === 'maglev' ? ServiceFlags.SERVICE_BY_FLOW : 0) |
    (row.algorithm === 'least' ? ServiceFlags.SERVICE_LEAST : 0) |
    (row.forwarding === 'dsr' ? ServiceFlags.SERVICE_DSR : 0)
  return { id, count, affinitySeconds: row.affinitySeconds, flags, table: 0, tableSize: 0, tableSignature: 0n }
}

/** Of one backend, or of several by their flows or of one weight by chance, the slots alone will do. */
function needsTable({ algorithm, backends: [first, ...others] }: FrontendRow): boolean {
  if (first === undefined || others.length === 0 || algorithm === 'least') return false
  return algorithm === 'maglev' || others.some(({ weight }) => weight !== first.weight)
}

function sameValue(a: ServiceValue, b: ServiceValue): boolean {
  return a.id === b.id && a.count === b.count && a.affinitySeconds === b.affinitySeconds && a.flags === b.flags
}

function nameOf({ address, port }: CarriedBackend): string {
  return `${address} ${port}`
}

/** As `textOf` its key: addresses of rows are canonical. */
function keyOf({ address, port, protocol, scope }: FrontendRow): string {
  return joined(address, ' ', port, ' ', PROTOCOL_NUMBERS[protocol], ' ', SCOPE[scope])
}

function textOf({ address, port, protocol, scope }: CarriedKey): string {
  return joined(address, ' ', port, ' ', protocol, ' ', scope)
}
