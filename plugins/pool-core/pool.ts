/** One pool and family: gives addresses, lets requests wait in order, and says in numbers why it has none. */
import {
  covers,
  formatPrefix,
  InvalidAddress,
  type IpAddress,
  type IpPrefix,
  parseAddress,
} from '../../daemon/kernel/ip.ts'
import type { Family } from '../../daemon/kernel/kernel.ts'
import {
  AddressInUse,
  AddressNotInPool,
  type AddressRequest,
  type Lease,
  PoolExhausted,
  type PoolStatus,
  type Released,
} from '../../daemon/plugin.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import { Leases } from './leases.ts'
import type { PoolOptions } from './options.ts'
import { AddressRange } from './range.ts'

interface Parked {
  readonly request: AddressRequest
  readonly resolve: (lease: Lease) => void
  readonly reject: (error: unknown) => void
}

/** Requests are served in the order they came; an address is given only by `#serve`, which is synchronous. */
export class Pool {
  readonly name: string
  readonly family: Family
  readonly #nodeName: string
  readonly #clock: Clock
  readonly #cooldownMs: number
  readonly #exclude: readonly IpPrefix[]
  /** The cluster's ranges of this family; undefined when any pod range of the node will do. */
  readonly #configured: readonly IpPrefix[] | undefined
  readonly #leases: Leases
  readonly #parked = new Set<Parked>()
  /** The node's pod ranges; undefined while it has none of any family. */
  #podCidrs: readonly IpPrefix[] | undefined
  /** What is not known yet, while there are no pod ranges. */
  #lack: string
  #cancelTimer: (() => void) | undefined

  constructor(options: PoolOptions, family: Family, nodeName: string, clock: Clock) {
    this.name = options.name
    this.family = family
    this.#nodeName = nodeName
    this.#lack = noRanges(nodeName)
    this.#clock = clock
    this.#cooldownMs = options.cooldownMs
    this.#exclude = options.exclude
    this.#configured = options.ranges?.filter(range => range.family === family)
    this.#leases = new Leases(options.name, family)
  }

  /** Requests that wait for an address. */
  get waiting(): number {
    return this.#parked.size
  }
  /** Whether this family is meant to be here: ranges of it are configured, or the node has some, or pods have. */
  get present(): boolean {
    return (this.#configured?.length ?? 0) > 0 || this.#leases.ranges.length > 0 || this.#leases.size > 0
  }

  /** The node's pod ranges, of both families; a text that says what is lacking while none can be given from. */
  setPodCidrs(podCidrs: readonly IpPrefix[] | string): void {
    const known = typeof podCidrs !== 'string'
    this.#podCidrs = known ? podCidrs : undefined
    this.#lack = known ? '' : podCidrs
    const prefixes = apart((this.#podCidrs ?? []).flatMap(podCidr => this.#within(podCidr)))
    const before = new Map(this.#leases.ranges.map(range => [range.text, range]))
    this.#leases.setRanges(prefixes.map(p => before.get(formatPrefix(p)) ?? new AddressRange(p, this.#exclude)))
    this.#serve()
  }

  /** Addresses, of both families, that somebody else on the node has; they are not given. */
  setForeign(addresses: readonly IpAddress[]): void {
    this.#leases.setForeign(new Set(addresses.filter(a => a.family === this.family).map(a => a.value)))
    this.#serve()
  }

  /** As Ipam.allocate. */
  allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted()
    return new Promise<Lease>((resolve, reject) => {
      const end = (): void => {
        this.#parked.delete(parked)
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        end()
        reject(new PoolExhausted(this.#waitingFor(request), { cause: signal.reason }))
      }
      const parked: Parked = {
        request,
        resolve: lease => {
          end()
          resolve(lease)
        },
        reject: error => {
          end()
          reject(error)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#parked.add(parked)
      this.#serve()
    })
  }

  /** As Ipam.release. */
  release(lease: Lease): void {
    const until = this.#cooldownMs > 0 ? this.#clock.now() + this.#cooldownMs : undefined
    if (this.#leases.release(lease, until)) this.#serve()
  }

  /** Claims a lease of an earlier life; answers what keeps it from being claimed. */
  restore(lease: Lease): string | undefined {
    const { value, family } = parseAddress(lease.address)
    const held = this.#leases.of(lease.owner)?.address
    const holder = this.#leases.holder(value)
    if (holder === lease.owner) return undefined
    if (family !== this.family) return `it is no IPv${this.family} address`
    if (holder !== undefined) return `${holder} holds it`
    if (held !== undefined) return `${lease.owner} holds ${held}`
    this.#leases.take(lease.owner, value)
    return undefined
  }

  /** An address released before the daemon started cools down for the rest of its time. */
  restoreReleased({ lease, agoMs }: Released): void {
    const restMs = this.#cooldownMs - Math.max(0, agoMs)
    if (restMs > 0) this.#leases.rest(parseAddress(lease.address).value, this.#clock.now() + restMs)
  }

  status(): PoolStatus {
    this.#leases.cool(this.#clock.now())
    const { total, used, cooling, excluded } = this.#leases.counts()
    return {
      pool: this.name,
      family: this.family,
      ranges: this.#leases.ranges.map(range => range.text),
      total: Number(total),
      used,
      cooling,
      excluded: Number(excluded),
      free: Number(total - BigInt(used + cooling)),
    }
  }

  /** Everyone who waits is told that the pool is closed. */
  close(): void {
    this.#cancelTimer?.()
    for (const { reject } of this.#parked) reject(new PoolExhausted(`pool ${this.name} is being closed`))
  }

  #within(podCidr: IpPrefix): IpPrefix[] {
    if (podCidr.family !== this.family) return []
    if (!this.#configured) return [podCidr]
    if (this.#configured.some(range => covers(range, podCidr))) return [podCidr]
    return this.#configured.filter(range => covers(podCidr, range))
  }

  /** Tries everyone who waits, first come first served, and sleeps until the next address has cooled down. */
  #serve(): void {
    this.#leases.cool(this.#clock.now())
    for (const { request, resolve, reject } of this.#parked) {
      try {
        const lease = this.#try(request)
        if (lease) resolve(lease)
      } catch (error) {
        reject(error)
      }
    }
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const next = this.#parked.size > 0 ? this.#leases.nextCooled() : undefined
    if (next === undefined) return
    this.#cancelTimer = this.#clock.after(next - this.#clock.now(), () => {
      this.#serve()
    })
  }

  /** A lease, or undefined when waiting helps, or the error why it does not. */
  #try(request: AddressRequest): Lease | undefined {
    const wanted = request.address === undefined ? undefined : this.#parse(request.address)
    const held = this.#leases.of(request.owner)
    if (held) {
      if (!wanted || parseAddress(held.address).value === wanted.value) return held
      throw new AddressInUse(`${request.owner} holds ${held.address} and cannot have ${request.address} besides`)
    }
    return wanted ? this.#tryThis(request, wanted) : this.#tryAny(request)
  }

  #tryAny({ owner }: AddressRequest): Lease | undefined {
    const value = this.#leases.lowestFree()
    if (value !== undefined) return this.#leases.take(owner, value)
    if (!this.#podCidrs || this.#leases.nextCooled() !== undefined) return undefined
    throw new PoolExhausted(this.#numbers())
  }

  #tryThis({ owner, address }: AddressRequest, wanted: IpAddress): Lease | undefined {
    const holder = this.#leases.holder(wanted.value)
    if (holder !== undefined) throw new AddressInUse(`${address} of pool ${this.name} is held by ${holder}`)
    if (this.#leases.isForeign(wanted.value))
      throw new AddressInUse(`${address} of pool ${this.name} is the node's own, or a pod's of another CNI`)
    if (this.#leases.gives(wanted))
      return this.#leases.coolUntil(wanted.value) === undefined ? this.#leases.take(owner, wanted.value) : undefined
    if (!this.#podCidrs) return undefined
    const ranges = this.#leases.ranges.map(range => range.text).join(', ')
    throw new AddressNotInPool(`${address} is not among the addresses that pool ${this.name} gives here: ${ranges}`)
  }

  #parse(text: string): IpAddress {
    try {
      const address = parseAddress(text)
      if (address.family === this.family) return address
      throw new AddressNotInPool(`${text} was asked for as IPv${this.family} address`)
    } catch (cause) {
      if (!(cause instanceof InvalidAddress)) throw cause
      throw new AddressNotInPool(cause.message, { cause })
    }
  }

  #waitingFor({ address }: AddressRequest): string {
    if (!this.#podCidrs) return `pool ${this.name}: ${this.#lack}`
    const until = address === undefined ? undefined : this.#leases.coolUntil(parseAddress(address).value)
    return until === undefined
      ? this.#numbers()
      : `${address} of pool ${this.name} was released lately and is free in ${this.#seconds(until)}`
  }

  /** The whole state of the pool in a line. */
  #numbers(): string {
    const ranges = this.#leases.ranges.map(range => range.text).join(', ')
    if (ranges === '') return this.#nothing()
    const { total, used, cooling, excluded, outside } = this.#leases.counts()
    const next = this.#leases.nextCooled()
    return [
      `pool ${this.name}: ${total} addresses in ${ranges}`,
      `${used} used`,
      `${cooling} cooling${next === undefined ? '' : ` (next free in ${this.#seconds(next)})`}`,
      `${excluded} excluded`,
      ...(outside > 0 ? [`${outside} kept outside`] : []),
    ].join(', ')
  }

  #nothing(): string {
    const have = (this.#podCidrs ?? []).map(formatPrefix).join(', ')
    const where = this.#configured?.map(formatPrefix).join(', ')
    if (where === '') return `pool ${this.name} has no IPv${this.family} ranges`
    const within = where === undefined ? 'is one' : `is within ${where}`
    return `pool ${this.name} has no IPv${this.family} addresses: no pod range of node ${this.#nodeName} (${have}) ${within}`
  }

  #seconds(until: number): string {
    return `${Math.max(1, Math.ceil((until - this.#clock.now()) / 1000))} s`
  }
}

/** Without prefixes that lie in another one, in the order given. */
function apart(prefixes: readonly IpPrefix[]): IpPrefix[] {
  return prefixes.filter((prefix, i) =>
    prefixes.every((other, n) => n === i || !covers(other, prefix) || (other.length === prefix.length && n > i)),
  )
}

/** What is lacking of a node that is not known, or has no pod ranges. */
export function noRanges(nodeName: string): string {
  return `node ${nodeName} has no pod ranges yet`
}
