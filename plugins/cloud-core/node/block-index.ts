/** Which block an address is of, and how much of each block is in use. Pure. */
import { formatAddress, parsePrefix, widthOf } from '../../../daemon/kernel/ip.ts'
import type { Address, Family, Prefix } from '../../../daemon/kernel/kernel.ts'
import type { Occupied } from '../../pool-core/leases.ts'

export interface BlockUse {
  /** Addresses that pods, or others on the node, have. */
  readonly assigned: number
  readonly cooling: number
}

export const UNUSED: BlockUse = { assigned: 0, cooling: 0 }

export interface Uses {
  /** Of blocks that are in use. */
  readonly byBlock: ReadonlyMap<Prefix, BlockUse>
  /** Addresses that are in use and of no block. */
  readonly outside: readonly Address[]
}

/** Blocks of one family, by the first address and length of each. */
export class BlockIndex {
  readonly #family: Family
  readonly #byLength = new Map<number, Map<bigint, Prefix>>()

  constructor(family: Family, blocks: Iterable<Prefix>) {
    this.#family = family
    for (const block of blocks) {
      const { value, length, family: own } = parsePrefix(block)
      if (own !== family) continue
      const same = this.#byLength.get(length) ?? new Map<bigint, Prefix>()
      this.#byLength.set(length, same.set(value, block))
    }
  }

  /** All blocks that hold it: somebody may have given one as a part of another. */
  blocksOf(value: bigint): Prefix[] {
    const found: Prefix[] = []
    for (const [length, blocks] of this.#byLength) {
      const host = BigInt(widthOf(this.#family) - length)
      const block = blocks.get((value >> host) << host)
      if (block !== undefined) found.push(block)
    }
    return found
  }

  uses(occupied: Iterable<Occupied>): Uses {
    const byBlock = new Map<Prefix, BlockUse>()
    const outside: Address[] = []
    for (const { value, cooling } of occupied) {
      const blocks = this.blocksOf(value)
      if (blocks.length === 0 && !cooling) outside.push(formatAddress({ family: this.#family, value }))
      for (const block of blocks) {
        const before = byBlock.get(block) ?? UNUSED
        byBlock.set(block, {
          assigned: before.assigned + (cooling ? 0 : 1),
          cooling: before.cooling + (cooling ? 1 : 0),
        })
      }
    }
    return { byBlock, outside }
  }
}
