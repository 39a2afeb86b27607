/** Addresses of a subnet as a cloud hands them out: single ones anywhere, prefixes aligned and whole. */
import { formatAddress, parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../../daemon/kernel/kernel.ts'

/** Addresses at the ends that are the cloud's own. */
export interface Reserved {
  readonly first: number
  readonly last: number
}

/** A part that the cloud takes only prefixes out of, or nothing by itself (CIDR reservations of EC2). */
export interface Reservation {
  readonly cidr: Prefix
  readonly kind: 'prefix' | 'explicit'
}

export interface AddressSpaceOptions {
  readonly cidr: Prefix
  readonly reserved: Reserved
  readonly reservations?: readonly Reservation[]
  readonly random: () => number
}

const NOBODY = 0
const SOMEBODY = 1
/** What the parts are for. */
const ANY = 0
const PREFIXES = 1
const EXPLICIT = 2

/** Of IPv4. */
export class AddressSpace {
  readonly #base: number
  readonly #taken: Uint8Array
  readonly #use: Uint8Array
  readonly #hasReservations: boolean
  readonly #random: () => number
  /** Nobody's, of those that can be had by asking. */
  #free = 0
  #single = 0
  /** Where the search for a prefix goes on. */
  #prefixFrom = 0

  constructor({ cidr, reserved, reservations = [], random }: AddressSpaceOptions) {
    const { value, length } = parsePrefix(cidr)
    this.#base = Number(value)
    this.#taken = new Uint8Array(2 ** (32 - length))
    this.#use = new Uint8Array(this.#taken.length)
    this.#random = random
    for (const { cidr: part, kind } of reservations) {
      const [at, size] = this.#placeOf(part)
      this.#use.fill(kind === 'prefix' ? PREFIXES : EXPLICIT, at, at + size)
    }
    this.#hasReservations = this.#use.includes(PREFIXES)
    this.#taken.fill(SOMEBODY, 0, reserved.first)
    this.#taken.fill(SOMEBODY, this.#taken.length - reserved.last)
    for (const [at, taken] of this.#taken.entries()) if (taken === NOBODY) this.#count(at, 1)
  }

  get free(): number {
    return this.#free
  }
  /** Of those, such as are given one by one. */
  get single(): number {
    return this.#single
  }

  /** Any free address; undefined when there is none. */
  takeAddress(): Address | undefined {
    if (this.#single === 0) return undefined
    let at = Math.floor(this.#random() * this.#taken.length)
    while (this.#taken[at] !== NOBODY || this.#use[at] !== ANY) at = (at + 1) % this.#taken.length
    this.#taken[at] = SOMEBODY
    this.#count(at, -1)
    return textOf(this.#base + at)
  }

  /** A certain address; undefined when somebody has it. */
  takeThis(address: Address): Address | undefined {
    const [at] = this.#placeOf(`${address}/32`)
    if (this.#taken[at] !== NOBODY) return undefined
    this.#taken[at] = SOMEBODY
    this.#count(at, -1)
    return address
  }

  /** A free aligned prefix, out of what is reserved for them first; undefined when there is none, whatever is free. */
  takePrefix(length: number): Prefix | undefined {
    const size = 2 ** (32 - length)
    const places = Math.floor(this.#taken.length / size)
    let other: number | undefined
    for (let n = 0; n < places; n++) {
      const at = ((this.#prefixFrom + n) % places) * size
      if (!this.#isFree(at, size)) continue
      if (this.#use[at] === PREFIXES) return this.#takeAt(at, length)
      other ??= at
      if (!this.#hasReservations) break
    }
    return other === undefined ? undefined : this.#takeAt(other, length)
  }

  give(block: Prefix): void {
    const [at, size] = this.#placeOf(block)
    for (let i = at; i < at + size; i++) {
      if (this.#taken[i] !== SOMEBODY) throw new Error(`${block} was given back that nobody had`)
      this.#taken[i] = NOBODY
      this.#count(i, 1)
    }
  }

  #takeAt(at: number, length: number): Prefix {
    const size = 2 ** (32 - length)
    this.#taken.fill(SOMEBODY, at, at + size)
    for (let i = at; i < at + size; i++) this.#count(i, -1)
    this.#prefixFrom = at / size + 1
    return `${textOf(this.#base + at)}/${length}`
  }

  #count(at: number, by: number): void {
    if (this.#use[at] !== EXPLICIT) this.#free += by
    if (this.#use[at] === ANY) this.#single += by
  }

  #isFree(at: number, size: number): boolean {
    const use = this.#use[at]
    for (let i = at; i < at + size; i++) if (this.#taken[i] !== NOBODY || this.#use[i] !== use) return false
    return use !== EXPLICIT
  }

  #placeOf(block: Prefix): readonly [at: number, size: number] {
    const { value, length } = parsePrefix(block)
    return [Number(value) - this.#base, 2 ** (32 - length)]
  }
}

/** Prefixes of one IPv6 prefix, of which there are more than anybody takes: one after another. */
export class PrefixSpace6 {
  readonly #base: bigint
  readonly #taken = new Set<Prefix>()
  #next = 1n

  constructor(cidr: Prefix) {
    this.#base = parsePrefix(cidr).value
  }

  take(length: number): Prefix {
    const value = this.#base + (this.#next++ << BigInt(128 - length))
    const block = `${formatAddress({ family: 6, value })}/${length}`
    this.#taken.add(block)
    return block
  }

  give(block: Prefix): void {
    if (!this.#taken.delete(block)) throw new Error(`${block} was given back that nobody had`)
  }
}

function textOf(value: number): Address {
  return formatAddress({ family: 4, value: BigInt(value) })
}
