/**
 * Which addresses of one range are taken. Bits are kept in pieces that exist only where addresses are taken, so that an
 * IPv6 /64 costs no more than the pods in it. Pure bookkeeping: no clock, no owners.
 */
import { type IpAddress, type IpPrefix, covers, formatPrefix, sizeOf, widthOf } from '../../daemon/kernel/ip.ts'

/** Offsets from the start of the range, both ends included. */
interface Interval {
  readonly from: bigint
  readonly to: bigint
}
interface Piece {
  readonly words: Uint32Array
  taken: number
}

const PIECE_BITS = 4096n
const WORD_FULL = 0xffff_ffff

/** A range of addresses, of which some are never given and the others are free or taken. */
export class AddressRange {
  readonly prefix: IpPrefix
  readonly text: string
  /** Addresses that can be given at all. */
  readonly usable: bigint
  /** Addresses that the configuration excludes; those reserved by the family are not counted. */
  readonly excluded: bigint
  readonly #never: readonly Interval[]
  readonly #pieces = new Map<bigint, Piece>()
  /** No address below this offset is free. */
  #lowest = 0n
  #taken = 0

  /**
   * `prefix` has no host bits; exclusions may lie anywhere. `whole`: it is a block that a cloud routes to the node, of
   * which IPv4 keeps no address from hosts.
   */
  constructor(prefix: IpPrefix, exclusions: readonly IpPrefix[], whole = false) {
    this.prefix = prefix
    this.text = formatPrefix(prefix)
    const reserved = whole && prefix.family === 4 ? [] : reservedOf(prefix)
    this.#never = merge([...reserved, ...exclusions.flatMap(exclusion => within(prefix, exclusion))])
    const never = this.#never.reduce((sum, { from, to }) => sum + to - from + 1n, 0n)
    this.usable = sizeOf(prefix) - never
    this.excluded = never - BigInt(reserved.length)
  }

  /** Share of its addresses that are taken, from 0 to 1. */
  get fill(): number {
    return this.usable === 0n ? 1 : this.#taken / Number(this.usable)
  }

  /** Whether the address lies in the range, given or not. */
  covers(address: IpAddress): boolean {
    return covers(this.prefix, address)
  }

  /** Whether the address is one that can be given, free or taken. */
  gives(address: IpAddress): boolean {
    if (!this.covers(address)) return false
    const offset = address.value - this.prefix.value
    return this.#afterNever(offset) === offset
  }

  /** Marks an address of the range; marking twice changes nothing. */
  take(value: bigint): void {
    this.#mark(value - this.prefix.value, true)
  }

  /** Takes the mark off; an address without one stays free. */
  free(value: bigint): void {
    const offset = value - this.prefix.value
    this.#mark(offset, false)
    if (offset < this.#lowest) this.#lowest = offset
  }

  /** The lowest address that is free and can be given. */
  lowestFree(): bigint | undefined {
    const size = sizeOf(this.prefix)
    let offset = this.#lowest
    for (;;) {
      const next = this.#afterTaken(this.#afterNever(offset))
      if (next >= size) return undefined
      if (next === offset) break
      offset = next
    }
    this.#lowest = offset
    return this.prefix.value + offset
  }

  /** The first offset from here on that is not among those never given. */
  #afterNever(offset: bigint): bigint {
    const inside = this.#never.find(({ from, to }) => offset >= from && offset <= to)
    return inside ? inside.to + 1n : offset
  }

  /** The first offset from here on whose bit is clear. */
  #afterTaken(offset: bigint): bigint {
    let at = offset
    for (;;) {
      const piece = this.#pieces.get(at / PIECE_BITS)
      if (!piece) return at
      const clear = firstClear(piece.words, Number(at % PIECE_BITS))
      const start = at - (at % PIECE_BITS)
      if (clear !== undefined) return start + BigInt(clear)
      at = start + PIECE_BITS
    }
  }

  #mark(offset: bigint, taken: boolean): void {
    const index = offset / PIECE_BITS
    const piece = this.#pieces.get(index) ?? { words: new Uint32Array(Number(PIECE_BITS) / 32), taken: 0 }
    const bit = Number(offset % PIECE_BITS)
    const mask = 1 << (bit & 31)
    const word = piece.words[bit >>> 5] ?? 0
    if (((word & mask) !== 0) === taken) return
    piece.words[bit >>> 5] = word ^ mask
    piece.taken += taken ? 1 : -1
    this.#taken += taken ? 1 : -1
    if (piece.taken === 0) this.#pieces.delete(index)
    else this.#pieces.set(index, piece)
  }
}

/** The first clear bit at or after `from`. */
function firstClear(words: Uint32Array, from: number): number | undefined {
  for (let i = from >>> 5; i < words.length; i++) {
    const below = i === from >>> 5 ? (1 << (from & 31)) - 1 : 0
    const word = ((words[i] ?? 0) | below) >>> 0
    if (word !== WORD_FULL) return i * 32 + (31 - Math.clz32(~word & -~word))
  }
  return undefined
}

/**
 * What a family keeps from hosts: network and broadcast address of IPv4, but not in a /31 (RFC 3021) or /32; the
 * subnet-router anycast address of IPv6 (RFC 4291 section 2.6.1), but not in a /127 (RFC 6164) or /128.
 */
function reservedOf(prefix: IpPrefix): Interval[] {
  if (prefix.length >= widthOf(prefix.family) - 1) return []
  const last = sizeOf(prefix) - 1n
  const first = { from: 0n, to: 0n }
  return prefix.family === 4 ? [first, { from: last, to: last }] : [first]
}

/** The part of an exclusion that lies in the range. */
function within(range: IpPrefix, exclusion: IpPrefix): Interval[] {
  if (covers(exclusion, range)) return [{ from: 0n, to: sizeOf(range) - 1n }]
  if (!covers(range, exclusion)) return []
  const from = exclusion.value - range.value
  return [{ from, to: from + sizeOf(exclusion) - 1n }]
}

/** Sorted and without overlap. */
function merge(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  const merged: Interval[] = []
  for (const { from, to } of sorted) {
    const last = merged.at(-1)
    if (!last || from > last.to + 1n) merged.push({ from, to })
    else if (to > last.to) merged[merged.length - 1] = { from: last.from, to }
  }
  return merged
}
