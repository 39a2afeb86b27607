/**
 * Which Maglev tables there are and where they lie. A table is known by its signature, what it was made from; frontends that
 * want the same share one. A table is never changed in place: who wants another one gets that before the first is given up.
 */
import { hash } from 'node:crypto'
import { maglevTable, type Candidate } from '../service/maglev.ts'
import type { TableSize } from '../state/service-rows.ts'
import { MaglevSize } from './shared.gen.ts'

/** Where the places of tables are kept. */
export interface TableBlocks {
  /** Writes places from the beginning of a block on; they lie within one segment. */
  write(first: number, places: Uint16Array): void
}

export interface HeldTable {
  /** Number of its first block. */
  readonly first: number
  readonly size: number
  readonly signature: bigint
}

interface Shared extends HeldTable {
  users: number
}

const { MAGLEV_BLOCK, MAGLEV_SEGMENT_BLOCKS, MAGLEV_SEGMENTS } = MaglevSize

export class MaglevTables {
  readonly #blocks: () => TableBlocks
  readonly #seed: string
  #tables = new Map<bigint, Shared>()
  /** By segment and block: 1 in use. */
  #used: Uint8Array[] = []

  /** `seed` sets clusters apart. A growing map is replaced, so the blocks are asked for each time. */
  constructor(blocks: () => TableBlocks, seed: string) {
    this.#blocks = blocks
    this.#seed = seed
  }

  /** What a table for these is known by. */
  signature(candidates: readonly Candidate[], size: TableSize): bigint {
    const text = JSON.stringify([this.#seed, size, ...candidates.map(({ name, weight }) => [name, weight])])
    return hash('sha256', text, 'buffer').readBigUInt64LE(0)
  }

  /**
   * The table whose places hold indices in `candidates`: that of another user, or a new one. Each call counts until
   * `release`. Throws RangeError when all blocks are in use, and what writing throws.
   */
  hold(candidates: readonly Candidate[], size: TableSize, signature = this.signature(candidates, size)): HeldTable {
    const known = this.#tables.get(signature)
    if (known !== undefined) {
      known.users++
      return known
    }
    const count = blocksOf(size)
    const first = this.#find(count)
    this.#blocks().write(first, maglevTable(candidates, size, this.#seed))
    this.#mark(first, count, 1)
    const table = { first, size, signature, users: 1 }
    this.#tables.set(signature, table)
    return table
  }

  release({ signature }: HeldTable): void {
    const table = this.#tables.get(signature)
    if (table === undefined || --table.users > 0) return
    this.#tables.delete(signature)
    this.#mark(table.first, blocksOf(table.size), 0)
  }

  /** Starts anew from tables that services lead to, one for each that does. */
  read(held: Iterable<HeldTable>): void {
    this.#tables = new Map()
    this.#used = []
    for (const table of held) {
      const known = this.#tables.get(table.signature)
      if (known !== undefined) known.users++
      else this.#tables.set(table.signature, { ...table, users: 1 })
      this.#mark(table.first, blocksOf(table.size), 1)
    }
  }

  /** So many free blocks in a row. */
  #find(count: number): number {
    for (let segment = 0; segment < MAGLEV_SEGMENTS; segment++) {
      const used = this.#segment(segment)
      for (let block = 0, free = 0; block < MAGLEV_SEGMENT_BLOCKS; block++) {
        free = used[block] === 0 ? free + 1 : 0
        if (free === count) return segment * MAGLEV_SEGMENT_BLOCKS + block - count + 1
      }
    }
    throw new RangeError(
      `no room for another Maglev table: ${this.#tables.size} are in use; make services.maglev.tableSize smaller`,
    )
  }

  #mark(first: number, count: number, value: 0 | 1): void {
    const block = first % MAGLEV_SEGMENT_BLOCKS
    this.#segment(Math.floor(first / MAGLEV_SEGMENT_BLOCKS)).fill(value, block, block + count)
  }

  #segment(number: number): Uint8Array {
    const known = this.#used[number]
    if (known !== undefined) return known
    const made = new Uint8Array(MAGLEV_SEGMENT_BLOCKS)
    this.#used[number] = made
    return made
  }
}

function blocksOf(size: number): number {
  return Math.ceil(size / MAGLEV_BLOCK)
}
