/** What the programs' map says of a big cluster's services, read from its pin while the daemon writes to it. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pinsOf } from '../../../daemon/datapath/map-pins.ts'
import {
  type ServiceKey,
  serviceKeyLayout,
  ServiceScope,
  type ServiceValue,
  serviceValueLayout,
} from '../../../daemon/datapath/shared.gen.ts'
import { toMapped16 } from '../../../daemon/kernel/ip.ts'
import { codec } from '../../../daemon/kernel/bpf/layout.ts'
import { type EbpfMap, mapFromPin } from '../../../daemon/kernel/bpf/map.ts'
import { PROTOCOL_NUMBERS } from '../../../daemon/service/protocol-numbers.ts'
import type { NodeLayout } from '../../../deploy/lab/layout.ts'
import { clusterAddress, SERVICE_PORT } from './big-cluster.ts'

const TIMEOUT_MS = 120_000
const POLL_MS = 2
/** Looked up at a time: services change in the order in which they are asked for. */
const AT_ONCE = 50
const LAYOUT = codec(serviceKeyLayout, serviceValueLayout)

export class ServiceWatch implements Disposable {
  readonly #directory: string
  #map: EbpfMap<ServiceKey, ServiceValue>

  constructor({ paths }: NodeLayout) {
    this.#directory = join(paths.bpf, 'maps')
    this.#map = this.#open()
  }

  /** When each service was first seen with so many backends (`process.hrtime`), by its number. */
  async seen(services: readonly number[], backends: number): Promise<ReadonlyMap<number, bigint>> {
    const seen = new Map<number, bigint>()
    let waiting = [...services]
    const deadline = performance.now() + TIMEOUT_MS
    for (;;) {
      const looked = waiting.slice(0, AT_ONCE)
      const left = looked.filter(service => this.#backendsOf(service) !== backends)
      const now = process.hrtime.bigint()
      for (const service of looked) if (!left.includes(service)) seen.set(service, now)
      waiting = [...left, ...waiting.slice(AT_ONCE)]
      if (waiting.length === 0) return seen
      if (left.length < looked.length) continue
      if (performance.now() > deadline) throw new Error(`service ${waiting[0]} never had ${backends} backends`)
      await delay(POLL_MS)
      this.#follow()
    }
  }

  [Symbol.dispose](): void {
    this.#map[Symbol.dispose]()
  }

  #backendsOf(service: number): number | undefined {
    const address = toMapped16(clusterAddress(service))
    const key = { address, port: SERVICE_PORT, protocol: PROTOCOL_NUMBERS.TCP, scope: ServiceScope.SERVICE_INSIDE }
    return this.#map.lookup(key)?.count
  }

  /** A map that grows is replaced. */
  #follow(): void {
    const current = this.#open()
    this.#map[Symbol.dispose]()
    this.#map = current
  }

  #open(): EbpfMap<ServiceKey, ServiceValue> {
    const [newest] = pinsOf(this.#directory, 'services')
    const map = newest && mapFromPin(newest.path, LAYOUT)
    if (map === undefined) throw new Error(`no map of services is pinned in ${this.#directory}`)
    return map
  }
}
