/** Pods of this node that other nodes send flows of a service to: the map `direct_backends`, by service and address. */
import { fromMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import type { Backend, DirectKey } from './shared.gen.ts'

export type DirectMap = BpfMap<DirectKey, Backend>

/** What a service has, before and after. */
export interface DirectChange {
  readonly service: number
  readonly before: readonly Backend[]
  readonly after: readonly Backend[]
}

export function writeDirect(map: DirectMap, changes: readonly DirectChange[]): void {
  map.updateBatch(
    changes.flatMap(({ service, before, after }) => {
      const held = new Set(before.map(backend => backend.id))
      const fresh = after.filter(backend => !held.has(backend.id))
      return fresh.map(backend => [{ service, address: backend.address }, backend] as const)
    }),
  )
}

/** A backend at another port of the same address has taken its place, and stays. */
export function removeDirect(map: DirectMap, changes: readonly DirectChange[]): void {
  map.deleteBatch(
    changes.flatMap(({ service, before, after }) => {
      const kept = new Set(after.map(backend => fromMapped16(backend.address)))
      const lost = before.filter(backend => !kept.has(fromMapped16(backend.address)))
      return lost.map(({ address }) => ({ service, address }))
    }),
  )
}

/** What the map holds, by the service's id, in no order. */
export function directByService(map: DirectMap): Map<number, Backend[]> {
  const found = new Map<number, Backend[]>()
  for (const [{ service }, backend] of map.entries()) {
    const list = found.get(service) ?? []
    list.push(backend)
    found.set(service, list)
  }
  return found
}
