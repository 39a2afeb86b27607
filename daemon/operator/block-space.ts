/** The blocks that a range is handed out in, and which of them are taken. */
import { covers, formatPrefix, type IpPrefix, parsePrefix, widthOf } from '../kernel/ip.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { PoolRange } from './rows.ts'

export class BlockSpace {
  readonly #range: IpPrefix
  readonly #blockLength: number
  readonly #blockSize: bigint
  readonly #total: bigint
  readonly #taken = new Set<bigint>()
  /** What is larger than a block, as spans of them, both ends included. */
  readonly #spans: { readonly first: bigint; readonly last: bigint }[] = []
  /** Every block before it is taken. */
  #first = 0n

  constructor({ cidr, nodePrefixLength }: PoolRange) {
    this.#range = parsePrefix(cidr)
    this.#blockLength = nodePrefixLength
    this.#blockSize = 1n << BigInt(widthOf(this.#range.family) - nodePrefixLength)
    this.#total = 1n << BigInt(nodePrefixLength - this.#range.length)
  }

  get family(): 4 | 6 {
    return this.#range.family
  }
  get total(): bigint {
    return this.#total
  }
  /** Blocks of which some address is taken. */
  get used(): bigint {
    let [sum, next] = [0n, 0n]
    for (const { first, last } of this.#spans.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
      const from = first > next ? first : next
      if (last < from) continue
      sum += last - from + 1n
      next = last + 1n
    }
    return sum + BigInt([...this.#taken].filter(block => !this.#isSpanned(block)).length)
  }

  /** Nothing that overlaps this prefix is given from now on. */
  take(prefix: IpPrefix): void {
    if (prefix.family !== this.#range.family) return
    if (covers(prefix, this.#range)) this.#spans.push({ first: 0n, last: this.#total - 1n })
    if (!covers(this.#range, prefix)) return
    const first = this.#blockOf(prefix.value)
    if (prefix.length >= this.#blockLength) this.#taken.add(first)
    else
      this.#spans.push({
        first,
        last: this.#blockOf(prefix.value + (1n << BigInt(widthOf(prefix.family) - prefix.length)) - 1n),
      })
  }

  /** The lowest free block, which is taken then; undefined when there is none. */
  give(): Prefix | undefined {
    while (this.#first < this.#total) {
      const next = this.#afterTaken(this.#first)
      if (next === this.#first) break
      this.#first = next
    }
    if (this.#first >= this.#total) return undefined
    this.#taken.add(this.#first)
    const value = this.#range.value + this.#first * this.#blockSize
    return formatPrefix({ family: this.#range.family, value, length: this.#blockLength })
  }

  #blockOf(value: bigint): bigint {
    return (value - this.#range.value) / this.#blockSize
  }

  /** The first block from this one on that may be free. A span is passed in one step: there may be 2^64 blocks in it. */
  #afterTaken(block: bigint): bigint {
    const span = this.#spans.find(({ first, last }) => first <= block && block <= last)
    if (span !== undefined) return span.last + 1n
    return this.#taken.has(block) ? block + 1n : block
  }

  #isSpanned(block: bigint): boolean {
    return this.#spans.some(({ first, last }) => first <= block && block <= last)
  }
}
