/** Pods of this node that other nodes send flows of a service to: the map `direct_backends`, by service and address. */
import { toMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import { backendBytes, backendOfBytes, type CarriedBackend } from './service-carried.ts'
import type { Backend, DirectKey } from './shared.gen.ts'

export type DirectMap = BpfMap<DirectKey, Backend>

/** What a service has, before and after. */
export interface DirectChange {
  readonly service: number
  readonly before: readonly CarriedBackend[]
  readonly after: readonly CarriedBackend[]
}

export function writeDirect(map: DirectMap, changes: readonly DirectChange[]): void {
  map.updateBatch(
    changes.flatMap(({ service, before, after }) => {
      const held = new Set(before.map(backend => backend.id))
      const fresh = after.filter(backend => !held.has(backend.id))
      return fresh.map(backend => {
        const value = backendBytes(backend)
        return [{ service, address: value.address }, value] as const
      })
    }),
  )
}

/** A backend at another port of the same address has taken its place, and stays. */
export function removeDirect(map: DirectMap, changes: readonly DirectChange[]): void {
  map.deleteBatch(
    changes.flatMap(({ service, before, after }) => {
      const kept = new Set(after.map(backend => backend.address))
      const lost = before.filter(backend => !kept.has(backend.address))
      return lost.map(({ address }) => ({ service, address: toMapped16(address) }))
    }),
  )
}

/** What the map holds, by the service's id, in no order. */
export function directByService(map: DirectMap): Map<number, CarriedBackend[]> {
  const found = new Map<number, CarriedBackend[]>()
  for (const [{ service }, backend] of map.entries()) {
    const list = found.get(service) ?? []
    list.push(backendOfBytes(backend))
    found.set(service, list)
  }
  return found
}
