/**
 * Pods of this node that another CNI attached, which is being replaced: those of the cluster's pods whose addresses lie in
 * its ranges and that have no interface of ours. From the tables `pods` and `endpoints` into the table `formerPods`.
 */
import { covers, type IpPrefix, parseAddress, parsePrefix } from '../kernel/ip.ts'
import type { Prefix } from '../kernel/kernel.ts'
import { eachChange } from '../state/each-change.ts'
import { replaceRows } from '../state/replace.ts'
import type { EndpointRow, FormerPodRow, PodRow, Tables } from '../state/tables.ts'

export interface FormerPodsOptions {
  readonly tables: Pick<Tables, 'pods' | 'endpoints' | 'formerPods'>
  readonly nodeName: string
  readonly ranges: readonly Prefix[]
}

export class FormerPods {
  readonly #options: FormerPodsOptions
  readonly #ranges: readonly IpPrefix[]
  readonly #known: () => void

  constructor(options: FormerPodsOptions) {
    this.#options = options
    this.#ranges = options.ranges.map(parsePrefix)
    this.#known = options.tables.formerPods.initializer('former-pods')
  }

  /** Follows the tables until the signal aborts; without ranges there is nothing to follow. */
  async run(signal: AbortSignal): Promise<void> {
    const { pods, endpoints } = this.#options.tables
    if (this.#ranges.length === 0) this.#known()
    else await eachChange([pods, endpoints], () => this.#follow(), signal)
  }

  #follow(): void {
    const { tables, nodeName } = this.#options
    const { pods, endpoints, formerPods } = tables
    // Before the interfaces of ours are known, each pod would be taken for one of theirs.
    if (!pods.initialized || !endpoints.initialized) return
    replaceRows(formerPods, formerRows(pods.values(), endpoints.values(), nodeName, this.#ranges))
    this.#known()
  }
}

/** Pure. A pod that has an interface of ours is none of theirs, and neither is an address that one of ours has. */
export function formerRows(
  pods: Iterable<PodRow>,
  endpoints: Iterable<EndpointRow>,
  nodeName: string,
  ranges: readonly IpPrefix[],
): FormerPodRow[] {
  const own = [...endpoints]
  const uids = new Set(own.map(({ pod }) => pod.uid))
  const addresses = new Set(own.flatMap(row => row.addresses))
  return [...pods]
    .filter(pod => pod.nodeName === nodeName && !pod.hostNetwork && !uids.has(pod.uid))
    .flatMap(pod => pod.addresses)
    .filter(address => !addresses.has(address) && ranges.some(range => covers(range, parseAddress(address))))
    .map(address => ({ address }))
}
