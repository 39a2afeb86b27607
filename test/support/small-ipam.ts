/** An IPAM for tests of what uses one: one pool a family, lowest free address first, cooling as long as told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { AddressInUse, PoolExhausted } from '../../daemon/errors.ts'
import type { AddressRequest, Ipam, Lease, PoolStatus, Released } from '../../daemon/plugin.ts'

export interface SmallIpamOptions {
  /** Addresses a family. */
  readonly size: number
  readonly pool?: string
  /** Milliseconds an address is not given again. */
  readonly coolMs?: number
  /** Whether a release is refused. */
  readonly keeps?: (lease: Lease) => boolean
}

export class SmallIpam implements Ipam {
  readonly pools: readonly string[]
  readonly #options: SmallIpamOptions
  readonly #leases = new Map<string, Lease>()
  readonly #cooling = new Map<string, number>()

  constructor(options: SmallIpamOptions) {
    this.#options = options
    this.pools = [options.pool ?? 'default']
  }

  get leases(): readonly Lease[] {
    return [...this.#leases.values()]
  }

  async allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    const { owner, family } = request
    const held = this.leases.find(lease => lease.owner === owner && lease.family === family)
    if (held) return held
    await sleep(0, undefined, { signal })
    const address = request.address ?? this.#free(family)[0]
    if (address === undefined) throw new PoolExhausted(`all ${this.#options.size} IPv${family} addresses are in use`)
    if (this.#leases.has(address)) throw new AddressInUse(`${address} is held by another pod`)
    const lease = { owner, family, address, pool: request.pool ?? this.pools[0] ?? '' }
    this.#leases.set(address, lease)
    return lease
  }
  release(lease: Lease): Promise<void> {
    if (this.#options.keeps?.(lease)) return Promise.reject(new Error(`${lease.address} is not taken back`))
    if (this.#leases.get(lease.address)?.owner === lease.owner) {
      this.#leases.delete(lease.address)
      this.#cooling.set(lease.address, Date.now() + (this.#options.coolMs ?? 0))
    }
    return Promise.resolve()
  }
  restore(leases: readonly Lease[], released: readonly Released[]): Promise<void> {
    for (const lease of leases) this.#leases.set(lease.address, lease)
    for (const { lease, agoMs } of released) {
      this.#cooling.set(lease.address, Date.now() + (this.#options.coolMs ?? 0) - agoMs)
    }
    return Promise.resolve()
  }
  status(): readonly PoolStatus[] {
    return ([4, 6] as const).map(family => {
      const all = this.#all(family)
      const used = all.filter(address => this.#leases.has(address)).length
      const free = this.#free(family).length
      const range = family === 4 ? '10.1.0.0/24' : 'fd00:1::/64'
      const rest = { total: all.length, used, free, excluded: 0, cooling: all.length - used - free }
      return { pool: this.pools[0] ?? '', family, ranges: [range], ...rest }
    })
  }

  #all(family: number): string[] {
    return Array.from({ length: this.#options.size }, (_, i) => (family === 4 ? `10.1.0.${i + 1}` : `fd00:1::${i + 1}`))
  }
  #free(family: number): string[] {
    const now = Date.now()
    return this.#all(family).filter(a => !this.#leases.has(a) && (this.#cooling.get(a) ?? 0) <= now)
  }
}
