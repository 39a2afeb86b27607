/** Who waits for an address: requests, and pods of this node whose request has not come yet. Each is one. Pure. */
import type { AddressRequest, PodRef } from '../../../daemon/plugin.ts'
import type { EndpointRow, PodRow } from '../../../daemon/state/tables.ts'

/** What tells a pod from another: uids differ between kubelet and API server for static pods. */
export function podKey({ namespace, name }: Pick<PodRef, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`
}

/** A pod that is bound to the node, is not the host's, and has no address that anybody knows of. */
export function lacksAddress(pod: PodRow, nodeName: string): boolean {
  return pod.nodeName === nodeName && !pod.hostNetwork && pod.ending !== true && pod.addresses.length === 0
}

export interface Waiting {
  /** Pods that lack an address, by `lacksAddress`. */
  readonly lacking: readonly PodRow[]
  readonly endpoints: Iterable<EndpointRow>
  /** Of one family. */
  readonly parked: readonly AddressRequest[]
  /** Pods that hold an address of that family and are still being set up. */
  readonly holders: ReadonlySet<string>
}

export function countWaiting({ lacking, endpoints, parked, holders }: Waiting): number {
  const waiting = new Set(parked.map(({ pod, owner }) => (pod.name === '' ? owner : podKey(pod))))
  if (lacking.length === 0) return waiting.size
  const served = new Set([...endpoints].map(({ pod }) => podKey(pod)))
  for (const pod of lacking) {
    const key = podKey(pod)
    if (!served.has(key) && !holders.has(key)) waiting.add(key)
  }
  return waiting.size
}
