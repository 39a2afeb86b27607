/** The map maglev_segments: an array of arrays, which gets another array when one is written to for the first time. */
import { bytes, codec, u32 } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapFromId, mapOfFd, newMap } from '../kernel/bpf/map.ts'
import type { TableBlocks } from './maglev-tables.ts'
import { MaglevSize } from './shared.gen.ts'

const BLOCK_BYTES = 2 * MaglevSize.MAGLEV_BLOCK
const layout = codec(u32, bytes(BLOCK_BYTES))
type Segment = EbpfMap<number, Uint8Array>

export class MaglevSegments implements TableBlocks, Disposable {
  readonly #outer: EbpfMap<number, number>
  readonly #open = new Map<number, Segment>()

  /** The descriptor stays the caller's. */
  constructor(fd: number) {
    this.#outer = mapOfFd(fd, codec(u32, u32))
  }

  /** Throws BpfError, ENOMEM for one. */
  write(first: number, places: Uint16Array): void {
    const all = new Uint8Array(Math.ceil(places.byteLength / BLOCK_BYTES) * BLOCK_BYTES)
    all.set(new Uint8Array(places.buffer, places.byteOffset, places.byteLength))
    const segment = this.#segment(Math.floor(first / MaglevSize.MAGLEV_SEGMENT_BLOCKS))
    segment.updateBatch(
      Array.from({ length: all.length / BLOCK_BYTES }, (_, i) => {
        const block = all.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)
        return [(first % MaglevSize.MAGLEV_SEGMENT_BLOCKS) + i, block] as const
      }),
    )
  }

  [Symbol.dispose](): void {
    for (const segment of this.#open.values()) segment[Symbol.dispose]()
    this.#outer[Symbol.dispose]()
  }

  #segment(number: number): Segment {
    const known = this.#open.get(number)
    if (known !== undefined) return known
    const id = this.#outer.lookup(number)
    const segment = (id === undefined ? undefined : mapFromId(id, layout)) ?? this.#make(number)
    this.#open.set(number, segment)
    return segment
  }

  #make(number: number): Segment {
    const made = newMap(
      {
        type: 'array',
        name: 'maglev_segment',
        keySize: layout.keySize,
        valueSize: layout.valueSize,
        maxEntries: MaglevSize.MAGLEV_SEGMENT_BLOCKS,
      },
      layout,
    )
    try {
      this.#outer.update(number, made.fd)
      return made
    } catch (error) {
      made[Symbol.dispose]()
      throw error
    }
  }
}
