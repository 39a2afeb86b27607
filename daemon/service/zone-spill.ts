/**
 * Whether the endpoints near this node have all the flows that their service wants to give them, so that others are used
 * too (annotation `causeway.dev/zone-capacity`). By this node's own account: a zone's load is as many times that as it has
 * nodes which send it flows alike.
 */
import type { BackendLoadRow, ServiceProtocol } from '../state/service-rows.ts'
import type { ReadonlyTable } from '../state/table.ts'
import type { Candidate } from './select.ts'

/** Others are used until the near ones have less than this share, or every few flows would change it back and forth. */
const CALM = 0.8

export class ZoneSpill {
  readonly #loads: Pick<ReadonlyTable<BackendLoadRow>, 'get'>
  /** Frontends that use others. */
  readonly #spilling = new Set<string>()

  constructor(loads: Pick<ReadonlyTable<BackendLoadRow>, 'get'>) {
    this.#loads = loads
  }

  /** Asked each time a frontend's endpoints are chosen. */
  isFull(frontend: string, near: readonly Candidate[], protocol: ServiceProtocol, capacity: number): boolean {
    const flows = near.reduce((sum, { address, port }) => sum + this.#flowsOf(loadKey(protocol, address, port)), 0)
    const limit = capacity * near.length * (this.#spilling.has(frontend) ? CALM : 1)
    const full = flows >= limit
    if (full) this.#spilling.add(frontend)
    else this.#spilling.delete(frontend)
    return full
  }

  #flowsOf(key: string): number {
    return this.#loads.get(key)?.flows ?? 0
  }
}

/** Of a row of `backendLoads`. */
export function loadKey(protocol: ServiceProtocol, address: string, port: number): string {
  return `${protocol} ${address} ${port}`
}
