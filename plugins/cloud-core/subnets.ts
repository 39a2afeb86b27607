/** What is known of subnets: how much they have left by the last look, and what they have just refused. */
import { isDeepStrictEqual } from 'node:util'
import type { Call, Failure, SeenSubnet, SubnetId } from './model.ts'
import type { NodeState } from './node-state.ts'
import type { SubnetState } from './plan.ts'

/** A subnet that had nothing is asked again after so long; EC2's own CNI waits as long, but for a whole node. */
export const PAUSE_MS = 120_000

export class Subnets {
  readonly #known = new Map<SubnetId, SubnetState>()
  /** For the lists of nodes, of which there are thousands; until something else is known. */
  #byRoom = new WeakMap<readonly SubnetId[], readonly SubnetId[]>()
  #seen: ReadonlyMap<SubnetId, SeenSubnet> = new Map()
  /** Those that a look was asked for because none had shown them. */
  readonly #sought = new Set<SubnetId>()

  get all(): ReadonlyMap<SubnetId, SubnetState> {
    return this.#known
  }

  /** As the last look has shown them. */
  get seen(): ReadonlyMap<SubnetId, SeenSubnet> {
    return this.#seen
  }

  /** Answers with those whose ranges are not as they were known. */
  saw(subnets: readonly SeenSubnet[]): ReadonlySet<SubnetId> {
    const changed = subnets.filter(({ id, cidrs }) => !isDeepStrictEqual(this.#seen.get(id)?.cidrs, cidrs))
    this.#seen = new Map(subnets.map(subnet => [subnet.id, subnet]))
    for (const { id, free } of subnets) this.#know({ ...this.#of(id), free })
    return new Set(changed.map(({ id }) => id))
  }

  /** Whether one of the interfaces' subnets is to be looked for: no look has shown it, and none was asked for it before. */
  seek({ nics }: NodeState): boolean {
    const before = this.#sought.size
    for (const { subnet } of nics.values()) if (!this.#seen.has(subnet)) this.#sought.add(subnet)
    return this.#sought.size > before
  }

  /** Keeps in mind what a call has found its subnet to lack; when that is over, else undefined. */
  failed(state: NodeState, call: Call, { kind }: Failure, nowMs: number): number | undefined {
    if (kind !== 'full' && kind !== 'fragmented') return undefined
    const id = subnetOf(state, call)
    if (id === undefined) return undefined
    const asked = singlesAsked(state, call, id)
    if (kind === 'full' && asked > 1) {
      // It may have some, if fewer.
      this.#know({ ...this.#of(id), free: Math.floor(asked / 2) })
      return undefined
    }
    const until = nowMs + PAUSE_MS
    const paused = kind === 'full' ? { fullUntilMs: until, free: 0 } : { fragmentedUntilMs: until }
    this.#know({ ...this.#of(id), ...paused })
    return until
  }

  /** Those of `ids`, most room first; alike ones by name. */
  byRoom(ids: readonly SubnetId[]): readonly SubnetId[] {
    const known = this.#byRoom.get(ids)
    if (known !== undefined) return known
    const sorted = [...ids].sort((a, b) => this.#of(b).free - this.#of(a).free || (a < b ? -1 : 1))
    this.#byRoom.set(ids, sorted)
    return sorted
  }

  #know(subnet: SubnetState): void {
    this.#known.set(subnet.id, subnet)
    this.#byRoom = new WeakMap()
  }

  #of(id: SubnetId): SubnetState {
    return this.#known.get(id) ?? { id, free: 0, fullUntilMs: 0, fragmentedUntilMs: 0 }
  }
}

/** Single ones of the subnet, besides the own one of an interface. */
function singlesAsked(state: NodeState, call: Call, subnet: SubnetId): number {
  if (call.kind === 'assign' || call.kind === 'create') return call.length === 32 ? call.count : 0
  if (call.kind !== 'write') return 0
  const adds = call.add.filter(({ nic, length }) => length === 32 && state.nics.get(nic)?.subnet === subnet)
  return adds.reduce((sum, { count }) => sum + count, 0)
}

/** That of a call's interface; of a write, which may be about several, that of the first it adds to. */
function subnetOf(state: NodeState, call: Call): SubnetId | undefined {
  if (call.kind === 'create') return call.subnet
  const nic = call.kind === 'assign' ? call.nic : call.kind === 'write' ? call.add[0]?.nic : undefined
  return nic === undefined ? undefined : state.nics.get(nic)?.subnet
}
