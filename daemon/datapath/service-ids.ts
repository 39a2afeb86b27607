/**
 * By which the programs know services and their backends. None is given twice, also not by the next daemon: affinities and
 * translations remember those of what went.
 */
import type { BpfMap } from '../kernel/kernel.ts'
import type { ServiceIds as Given } from './shared.gen.ts'

export type IdsMap = BpfMap<number, Given>
export type IdKind = keyof Given

/** After so many they begin anew, with those that are free. */
const LAST = 0xffff_ffff
const ONLY_ENTRY = 0

export class ServiceIds {
  readonly #map: () => IdsMap
  readonly #taken: (kind: IdKind, id: number) => boolean
  readonly #given = { services: 0, backends: 0 }
  #changed = false

  /** `taken` is asked once all have been given. */
  constructor(map: () => IdsMap, taken: (kind: IdKind, id: number) => boolean) {
    this.#map = map
    this.#taken = taken
  }

  /** Goes on from what is stored, or behind the highest in use where an older daemon has stored nothing. */
  read(highest: Readonly<Record<IdKind, number>>): void {
    const stored = this.#map().lookup(ONLY_ENTRY)
    for (const kind of ['services', 'backends'] as const)
      this.#given[kind] = Math.max(this.#given[kind], Number(stored?.[kind] ?? 0), highest[kind])
  }

  next(kind: IdKind): number {
    this.#changed = true
    let id = 0
    // As V8 keeps a whole number of 32 bits, not as a fraction that needs memory of its own.
    do id = ((this.#given[kind]++ % LAST) + 1) >>> 0
    while (this.#given[kind] > LAST && this.#taken(kind, id))
    return id
  }

  /** Stores how far they are. Before any of those given since stands in another map. */
  save(): void {
    if (!this.#changed) return
    const { services, backends } = this.#given
    this.#map().update(ONLY_ENTRY, { services: BigInt(services), backends: BigInt(backends) })
    this.#changed = false
  }
}
