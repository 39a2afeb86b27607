/** Pods of this node by their addresses. */
import { podName } from '../flow/names.ts'
import type { EndpointRow } from '../state/tables.ts'
import { addressOf, textOfAddress } from './way.ts'

/** A pod's name by its address's text: `namespace/name`; the address of one that is not known. */
export type PodNames = (address: string) => string

export function podNames(endpoints: Iterable<EndpointRow>): PodNames {
  const names = new Map<string, string>()
  for (const { addresses, pod, key } of endpoints)
    for (const address of addresses) names.set(textOfAddress(address), podName(pod, key))
  return address => names.get(address) ?? addressOf(address)
}
