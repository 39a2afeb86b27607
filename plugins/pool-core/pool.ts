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
import { Leases, type Occupied } from './leases.ts'
import type { PoolOptions } from './options.ts'
import { AddressRange } from './range.ts'

/** What a pool gives from, and what may become of that. */
export interface Supply {
  readonly prefixes: readonly IpPrefix[]
  /** False while it is not known what there will be. */
  readonly known: boolean
  /** What requests wait for, when more may come; absent: they are refused. */
  readonly awaited?: string
  /** Why no more come, to be told to those who are refused: they need not wait. */
  readonly end?: string
}

interface Parked {
  readonly request: AddressRequest
  readonly resolve: (lease: Lease) => void
  readonly reject: (error: unknown) => void
}

/** A message names so many ranges. */
const MOST_RANGES = 8

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
  readonly #blocks: boolean
  readonly #leases: Leases
  readonly #parked = new Set<Parked>()
  #supply: Supply
  #cancelTimer: (() => void) | undefined

  constructor(options: PoolOptions, family: Family, nodeName: string, clock: Clock) {
    this.name = options.name
    this.family = family
    this.#nodeName = nodeName
    this.#supply = { prefixes: [], known: false, awaited: noRanges(nodeName) }
    this.#clock = clock
    this.#cooldownMs = options.cooldownMs
    this.#exclude = options.exclude
    this.#configured = options.ranges?.filter(range => range.family === family)
    this.#blocks = options.blocks === true
    this.#leases = new Leases(options.name, family, this.#blocks)
  }

  /** Requests that wait for an address. */
  get waiting(): number {
    return this.#parked.size
  }
  /** Whether this family is meant to be here: ranges of it are configured, or the node has some, or pods have. */
  get present(): boolean {
    return (this.#configured?.length ?? 0) > 0 || this.#leases.ranges.length > 0 || this.#leases.size > 0
  }

  /** The requests that wait. */
  get requests(): readonly AddressRequest[] {
    return [...this.#parked].map(({ request }) => request)
  }
  get leases(): Iterable<Lease> {
    return this.#leases.held()
  }

  /** The node's pod ranges, of both families; a text that says what is lacking while none can be given from. */
  setPodCidrs(podCidrs: readonly IpPrefix[] | string): void {
    if (typeof podCidrs === 'string') this.setSupply({ prefixes: [], known: false, awaited: podCidrs })
    else this.setSupply({ prefixes: podCidrs, known: true })
  }

  /** Prefixes of both families that it may give from. */
  setSupply(supply: Supply): void {
    this.#supply = supply
    const prefixes = apart(supply.prefixes.flatMap(prefix => this.#within(prefix)))
    const before = new Map(this.#leases.ranges.map(range => [range.text, range]))
    const made = (prefix: IpPrefix): AddressRange => new AddressRange(prefix, this.#exclude, this.#blocks)
    this.#leases.setRanges(prefixes.map(prefix => before.get(formatPrefix(prefix)) ?? made(prefix)))
    this.#serve()
  }

  /** What is not free, after what has cooled down by now is; and when the next has. */
  occupied(): { readonly addresses: readonly Occupied[]; readonly changesAt: number | undefined } {
    this.#leases.cool(this.#clock.now())
    return { addresses: [...this.#leases.occupied()], changesAt: this.#leases.nextRested() }
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

  /** As Ipam.release; false when its owner does not hold it. */
  release(lease: Lease): boolean {
    const until = this.#cooldownMs > 0 ? this.#clock.now() + this.#cooldownMs : undefined
    const released = this.#leases.release(lease, until)
    if (released) this.#serve()
    return released
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
      ...(this.#supply.known && this.#supply.awaited !== undefined && { more: this.#supply.awaited }),
    }
  }

  /** Everyone who waits is told that the pool is closed. */
  close(): void {
    this.#cancelTimer?.()
    for (const { reject } of this.#parked) reject(new PoolExhausted(`pool ${this.name} is being closed`))
  }

  #within(prefix: IpPrefix): IpPrefix[] {
    if (prefix.family !== this.family) return []
    if (!this.#configured) return [prefix]
    if (this.#configured.some(range => covers(range, prefix))) return [prefix]
    return this.#configured.filter(range => covers(prefix, range))
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
    const value = this.#leases.nextFree()
    if (value !== undefined) return this.#leases.take(owner, value)
    const { awaited, end } = this.#supply
    if (awaited !== undefined || this.#leases.nextCooled() !== undefined) return undefined
    throw new PoolExhausted(this.#numbers(), { final: end !== undefined })
  }

  #tryThis({ owner, address }: AddressRequest, wanted: IpAddress): Lease | undefined {
    const holder = this.#leases.holder(wanted.value)
    if (holder !== undefined) throw new AddressInUse(`${address} of pool ${this.name} is held by ${holder}`)
    if (this.#leases.isForeign(wanted.value))
      throw new AddressInUse(`${address} of pool ${this.name} is the node's own, or a pod's of another CNI`)
    if (this.#leases.gives(wanted))
      return this.#leases.coolUntil(wanted.value) === undefined ? this.#leases.take(owner, wanted.value) : undefined
    if (!this.#supply.known) return undefined
    throw new AddressNotInPool(
      `${address} is not among the addresses that pool ${this.name} gives here: ${this.#rangesText()}`,
    )
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
    if (!this.#supply.known) return `pool ${this.name}: ${this.#supply.awaited}`
    const until = address === undefined ? undefined : this.#leases.coolUntil(parseAddress(address).value)
    return until === undefined
      ? this.#numbers()
      : `${address} of pool ${this.name} was released lately and is free in ${this.#seconds(until)}`
  }

  /** The whole state of the pool in a line. */
  #numbers(): string {
    const ranges = this.#rangesText()
    const { awaited, end } = this.#supply
    const future = awaited ?? end
    if (ranges === '') return this.#nothing(future)
    const { total, used, cooling, excluded, outside } = this.#leases.counts()
    const next = this.#leases.nextCooled()
    const numbers = [
      `pool ${this.name}: ${total} addresses in ${ranges}`,
      `${used} used`,
      `${cooling} cooling${next === undefined ? '' : ` (next free in ${this.#seconds(next)})`}`,
      `${excluded} excluded`,
      ...(outside > 0 ? [`${outside} kept outside`] : []),
    ].join(', ')
    return future === undefined ? numbers : `${numbers}; ${future}`
  }

  #rangesText(): string {
    const texts = this.#leases.ranges.map(range => range.text)
    const rest = texts.length - MOST_RANGES
    return rest > 1 ? `${texts.slice(0, MOST_RANGES).join(', ')} and ${rest} more` : texts.join(', ')
  }

  #nothing(future: string | undefined): string {
    if (future !== undefined) return `pool ${this.name} has no IPv${this.family} addresses: ${future}`
    const have = this.#supply.prefixes.map(formatPrefix).join(', ')
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
