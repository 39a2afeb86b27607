/** Pods by their addresses: those of this node, and those of others that leave by this one as a gateway. */
import { podName } from '../flow/names.ts'
import type { Tables } from '../state/tables.ts'
import { addressOf, textOfAddress } from './way.ts'

/** A pod's name by its address's text: `namespace/name`; the address of one that is not known. */
export type PodNames = (address: string) => string

export function podNames({ endpoints, pods }: Pick<Tables, 'endpoints' | 'pods'>): PodNames {
  const names = new Map<string, string>()
  for (const { addresses, namespace, name, hostNetwork } of pods.values())
    for (const address of hostNetwork ? [] : addresses) names.set(textOfAddress(address), `${namespace}/${name}`)
  for (const { addresses, pod, key } of endpoints.values())
    for (const address of addresses) names.set(textOfAddress(address), podName(pod, key))
  return address => names.get(address) ?? addressOf(address)
}
