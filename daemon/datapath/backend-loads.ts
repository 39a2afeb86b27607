/**
 * How many flows backends have by this node's account, for services that choose by that: which are counted is written before
 * a run of conntrack's expiry, which counts them, and read after it.
 */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import { loadKey } from '../service/zone-spill.ts'
import type { BackendLoadRow, FrontendRow, ServiceProtocol } from '../state/service-rows.ts'
import type { Table } from '../state/table.ts'
import type { Load, LoadKey } from './shared.gen.ts'

export interface BackendLoadsOptions {
  /** A growing map is replaced. */
  readonly map: () => BpfMap<LoadKey, Load>
  readonly frontends: () => Iterable<FrontendRow>
  readonly loads: Table<BackendLoadRow>
}

export class BackendLoads {
  readonly #options: BackendLoadsOptions

  constructor(options: BackendLoadsOptions) {
    this.#options = options
  }

  /** Before a run. Whether there is anything to count. */
  begin(): boolean {
    const { frontends } = this.#options
    const map = this.#options.map()
    const wanted = new Map<string, LoadKey>()
    for (const { counted, protocol, backends } of frontends())
      if (counted)
        for (const { address, port } of backends)
          wanted.set(loadKey(protocol, address, port), {
            address: toMapped16(address),
            port,
            protocol: PROTOCOL_NUMBERS[protocol],
          })
    const held = new Map([...map.entries()].map(([key]) => [textOf(key), key]))
    map.deleteBatch([...held].filter(([text]) => !wanted.has(text)).map(([, key]) => key))
    // What flows were given to meanwhile keeps its count.
    map.updateBatch([...wanted].filter(([text]) => !held.has(text)).map(([, key]) => [key, NONE] as const))
    return wanted.size > 0
  }

  /** After it. */
  end(): void {
    const { map, loads } = this.#options
    const found = new Map([...map().entries()].map(([key, { live }]) => [textOf(key), live]))
    const stale = [...loads.values()].filter(({ key }) => !found.has(key))
    for (const { key } of stale) loads.delete(key)
    for (const [key, flows] of found) if (loads.get(key)?.flows !== flows) loads.put({ key, flows })
  }
}

const NONE: Load = { live: 0, counting: 0 }

function textOf({ address, port, protocol }: LoadKey): string {
  const [name] = Object.entries(PROTOCOL_NUMBERS).find(([, number]) => number === protocol) ?? []
  return loadKey(name as ServiceProtocol, fromMapped16(address), port) // of those that begin() has written
}
