/** Room in the maps of services: they grow before they are full. */
import type { BpfMap } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import type { Sizes } from './programs.ts'

const MAPS = ['services', 'service_slots', 'backends', 'source_ranges', 'direct_backends'] as const
type ServiceMap = (typeof MAPS)[number]
/** Entries, by map. */
export type Entries = Readonly<Record<ServiceMap, number>>

export const NO_ENTRIES: Entries = {
  services: 0,
  service_slots: 0,
  backends: 0,
  source_ranges: 0,
  direct_backends: 0,
}

/** Entries that come and go; in place, for there are many services. */
export class EntryCount {
  readonly #count: Record<ServiceMap, number>

  constructor(first: Entries = NO_ENTRIES) {
    this.#count = { ...first }
  }

  get now(): Entries {
    return this.#count
  }

  /** What takes the place of what was there. */
  change(before: Entries, after: Entries): void {
    for (const map of MAPS) this.#count[map] += after[map] - before[map]
  }

  /** The same before what was there has gone. */
  grow(before: Entries, after: Entries): void {
    for (const map of MAPS) this.#count[map] += Math.max(0, after[map] - before[map])
  }
}

export interface ServiceRoomOptions {
  readonly maps: () => Readonly<Record<ServiceMap, Pick<BpfMap<unknown, unknown>, 'maxEntries'>>>
  readonly grow: (sizes: Sizes) => Promise<void>
  readonly log: Logger
}

/** A map grows when more than this share of it is used, to so many times of that. */
const FULL = 0.75
const GROWTH = 2

export class ServiceRoom {
  readonly #options: ServiceRoomOptions

  constructor(options: ServiceRoomOptions) {
    this.#options = options
  }

  /**
   * Makes room for so many entries in all; undefined when there is. A growth that fails is logged and tried again with the
   * next change: until the maps are full nothing is lost by it, and then writing tells.
   */
  make(entries: Entries): Promise<void> | undefined {
    const { maps, grow, log } = this.#options
    const now = maps()
    const tight = MAPS.filter(map => entries[map] > now[map].maxEntries * FULL)
    if (tight.length === 0) return undefined
    const sizes = Object.fromEntries(tight.map(map => [map, 2 ** Math.ceil(Math.log2(entries[map] * GROWTH))]))
    return grow(sizes).then(
      () => log.info({ sizes }, 'maps of services grew'),
      (error: unknown) => log.error({ error, sizes }, 'maps of services could not grow'),
    )
  }
}
