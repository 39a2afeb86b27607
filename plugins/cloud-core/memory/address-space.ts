/** Addresses of a subnet as a cloud hands them out: single ones anywhere, prefixes aligned and whole. */
import { formatAddress, type IpPrefix, parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../../daemon/kernel/kernel.ts'

export class AddressSpace {
  readonly #base: number
  /** 1 where somebody has the address, or nobody may. */
  readonly #taken: Uint8Array
  readonly #random: () => number
  #free: number
  /** Where the search for a prefix goes on. */
  #prefixFrom = 0

  /** `reservedFirst` and `reservedLast` addresses at the ends are the cloud's own. */
  constructor(
    { value, length }: IpPrefix,
    reserved: { readonly first: number; readonly last: number },
    random: () => number,
  ) {
    this.#base = Number(value)
    this.#taken = new Uint8Array(2 ** (32 - length))
    this.#random = random
    this.#taken.fill(1, 0, reserved.first)
    this.#taken.fill(1, this.#taken.length - reserved.last)
    this.#free = this.#taken.length - reserved.first - reserved.last
  }

  get free(): number {
    return this.#free
  }

  /** Any free address; undefined when there is none. */
  takeAddress(): Address | undefined {
    if (this.#free === 0) return undefined
    let at = Math.floor(this.#random() * this.#taken.length)
    while (this.#taken[at] === 1) at = (at + 1) % this.#taken.length
    this.#taken[at] = 1
    this.#free--
    return textOf(this.#base + at)
  }

  /** A free aligned prefix; undefined when there is none, whatever is free. */
  takePrefix(length: number): Prefix | undefined {
    const size = 2 ** (32 - length)
    const places = Math.floor(this.#taken.length / size)
    for (let n = 0; n < places; n++) {
      const at = ((this.#prefixFrom + n) % places) * size
      if (!this.#isFree(at, size)) continue
      this.#taken.fill(1, at, at + size)
      this.#free -= size
      this.#prefixFrom = at / size + 1
      return `${textOf(this.#base + at)}/${length}`
    }
    return undefined
  }

  give(block: Prefix): void {
    const { value, length } = parsePrefix(block)
    const [at, size] = [Number(value) - this.#base, 2 ** (32 - length)]
    for (let i = at; i < at + size; i++) {
      if (this.#taken[i] !== 1) throw new Error(`${block} was given back that nobody had`)
      this.#taken[i] = 0
    }
    this.#free += size
  }

  #isFree(at: number, size: number): boolean {
    for (let i = at; i < at + size; i++) if (this.#taken[i] === 1) return false
    return true
  }
}

function textOf(value: number): Address {
  return formatAddress({ family: 4, value: BigInt(value) })
}
