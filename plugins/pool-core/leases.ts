/** Who holds which address of one pool and family, and which addresses cool down. Pure bookkeeping; times are given. */
import { canonicalAddress, formatAddress, type IpAddress, parseAddress, widthOf } from '../../daemon/kernel/ip.ts'
import type { Family } from '../../daemon/kernel/kernel.ts'
import type { Lease } from '../../daemon/plugin.ts'
import type { AddressRange } from './range.ts'

export interface Counts {
  /** Addresses that can be given: `used` + `cooling` + free ones. */
  readonly total: bigint
  readonly used: number
  readonly cooling: number
  /** By configuration, or because somebody else on the node has them. */
  readonly excluded: bigint
  /** Leases that are kept although no range gives their address any more. */
  readonly outside: number
}

/** An address that is not free, and why: a pod or somebody else on the node has it, or it cools down. */
export interface Occupied {
  readonly value: bigint
  readonly cooling: boolean
}

/** Leases by owner and by address. Those outside the ranges are kept like the others. */
export class Leases {
  readonly #pool: string
  readonly #family: Family
  readonly #fullestFirst: boolean
  #ranges: readonly AddressRange[] = []
  /** The ranges by length and first address: a cloud may give addresses one by one. */
  #index: ReadonlyMap<number, ReadonlyMap<bigint, AddressRange>> = new Map()
  readonly #byOwner = new Map<string, Lease>()
  readonly #byAddress = new Map<bigint, string>()
  /** When each may be given again; in order, as all cool down for the same time. */
  readonly #cooling = new Map<bigint, number>()
  /** What somebody else on the node has. */
  #foreign: ReadonlySet<bigint> = new Set()

  /** `fullestFirst`: of the ranges that have free addresses the one gives that is least so, for others to become empty. */
  constructor(pool: string, family: Family, fullestFirst = false) {
    this.#pool = pool
    this.#family = family
    this.#fullestFirst = fullestFirst
  }

  get ranges(): readonly AddressRange[] {
    return this.#ranges
  }
  get size(): number {
    return this.#byOwner.size
  }

  /** Replaces the ranges; what is held, cooling or somebody else's in them is marked taken. */
  setRanges(ranges: readonly AddressRange[]): void {
    this.#ranges = ranges
    const byLength = Map.groupBy(ranges, range => range.prefix.length)
    this.#index = new Map(
      [...byLength].map(([length, same]) => [length, new Map(same.map(range => [range.prefix.value, range]))]),
    )
    for (const value of [...this.#byAddress.keys(), ...this.#cooling.keys(), ...this.#foreign])
      this.#rangeOf(value)?.take(value)
  }

  /** Replaces what somebody else on the node has. It is not given; who holds some of it keeps it. */
  setForeign(values: ReadonlySet<bigint>): void {
    const former = this.#foreign
    this.#foreign = values
    for (const value of former) if (!this.#byAddress.has(value) && !this.#cooling.has(value)) this.#free(value)
    for (const value of values) this.#rangeOf(value)?.take(value)
  }

  of(owner: string): Lease | undefined {
    return this.#byOwner.get(owner)
  }
  holder(value: bigint): string | undefined {
    return this.#byAddress.get(value)
  }
  /** When a cooling address may be given again; undefined when it does not cool down. */
  coolUntil(value: bigint): number | undefined {
    return this.#cooling.get(value)
  }
  /** When the next address of the ranges has cooled down; undefined when none is cooling. */
  nextCooled(): number | undefined {
    for (const [value, until] of this.#cooling) if (this.#given(value)) return until
    return undefined
  }
  /** Whether some range gives this address at all. */
  gives(address: IpAddress): boolean {
    return address.family === this.#family && this.#rangeOf(address.value)?.gives(address) === true
  }
  /** Whether somebody else on the node has this address. */
  isForeign(value: bigint): boolean {
    return this.#foreign.has(value)
  }
  /** Leases that are held. */
  held(): Iterable<Lease> {
    return this.#byOwner.values()
  }
  /** Every address that is not free, in a range or not, each once. */
  *occupied(): Generator<Occupied> {
    for (const value of this.#byAddress.keys()) yield { value, cooling: false }
    for (const value of this.#cooling.keys()) yield { value, cooling: true }
    for (const value of this.#foreign)
      if (!this.#byAddress.has(value) && !this.#cooling.has(value)) yield { value, cooling: false }
  }
  /** When the next address has cooled down, in a range or not. */
  nextRested(): number | undefined {
    return this.#cooling.values().next().value
  }
  /** The lowest free address of the first range that has one, or of the fullest such range. */
  nextFree(): bigint | undefined {
    return this.#fullestFirst ? this.#lowestOfFullest() : this.#lowestOfFirst()
  }

  #lowestOfFullest(): bigint | undefined {
    const left = new Set(this.#ranges)
    for (;;) {
      let best: AddressRange | undefined
      for (const range of left) if (best === undefined || isFuller(range, best)) best = range
      const value = best?.lowestFree()
      if (best === undefined || value !== undefined) return value
      left.delete(best)
    }
  }

  #lowestOfFirst(): bigint | undefined {
    for (const range of this.#ranges) {
      const value = range.lowestFree()
      if (value !== undefined) return value
    }
    return undefined
  }

  /** Gives an address that nobody holds. */
  take(owner: string, value: bigint): Lease {
    const address = formatAddress({ family: this.#family, value })
    const lease: Lease = { owner, family: this.#family, address, pool: this.#pool }
    this.#cooling.delete(value)
    this.#byOwner.set(owner, lease)
    this.#byAddress.set(value, owner)
    this.#rangeOf(value)?.take(value)
    return lease
  }

  /** Ends a lease; answers false, and changes nothing, when its owner does not hold its address. */
  release(lease: Lease, coolUntil: number | undefined): boolean {
    if (this.#byOwner.get(lease.owner)?.address !== canonicalAddress(lease.address)) return false
    const { value } = parseAddress(lease.address)
    this.#byOwner.delete(lease.owner)
    this.#byAddress.delete(value)
    if (coolUntil === undefined) this.#free(value)
    else this.#cooling.set(value, coolUntil)
    return true
  }

  /** Lets an address that nobody holds cool down until then; to be called in order of time. */
  rest(value: bigint, until: number): void {
    if (this.#byAddress.has(value)) return
    // A key that is set again would keep its former place.
    this.#cooling.delete(value)
    this.#cooling.set(value, until)
    this.#rangeOf(value)?.take(value)
  }

  /** Frees what has cooled down. */
  cool(now: number): void {
    for (const [value, until] of this.#cooling) {
      if (until > now) return
      this.#cooling.delete(value)
      this.#free(value)
    }
  }

  counts(): Counts {
    const held = [...this.#byAddress.keys()]
    const used = held.filter(value => this.#given(value)).length
    const foreign = [...this.#foreign].filter(
      value => this.#given(value) && !this.#byAddress.has(value) && !this.#cooling.has(value),
    )
    return {
      total: this.#ranges.reduce((sum, range) => sum + range.usable, 0n) - BigInt(foreign.length),
      used,
      cooling: [...this.#cooling.keys()].filter(value => this.#given(value)).length,
      excluded: this.#ranges.reduce((sum, range) => sum + range.excluded, 0n) + BigInt(foreign.length),
      outside: held.length - used,
    }
  }

  #given(value: bigint): boolean {
    return this.gives({ family: this.#family, value })
  }

  /** Takes the mark off what nobody has. */
  #free(value: bigint): void {
    if (!this.#foreign.has(value)) this.#rangeOf(value)?.free(value)
  }

  #rangeOf(value: bigint): AddressRange | undefined {
    for (const [length, ranges] of this.#index) {
      const host = BigInt(widthOf(this.#family) - length)
      const range = ranges.get((value >> host) << host)
      if (range !== undefined) return range
    }
    return undefined
  }
}

/** Whether it is the one to give from: what has no room is last, of two that are as full the lower is before. */
function isFuller(range: AddressRange, other: AddressRange): boolean {
  const [a, b] = [range.fill, other.fill].map(fill => (fill >= 1 ? -1 : fill)) as [number, number]
  return a === b ? range.prefix.value < other.prefix.value : a > b
}
