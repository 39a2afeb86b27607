/**
 * Pods whose addresses lie in no range of their node: each needs a route of its own, unless another CNI attached it. Kept
 * from change to change, because a cluster has many pods, nearly all of them inside the ranges, and they come and go all
 * the time.
 */
import { covers, hostPrefix, type IpPrefix, parseAddress, parsePrefix } from '../kernel/ip.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { Follower, Table } from '../state/table.ts'
import type { NodeRow, PodRow } from '../state/tables.ts'

interface Stray {
  readonly node: string
  readonly prefixes: readonly Prefix[]
}

/** Follows the table until disposed of. */
export class StrayPods implements Disposable {
  readonly #pods: Table<PodRow>
  readonly #follower: Follower<PodRow>
  #ranges: ReadonlyMap<string, readonly Prefix[]> = new Map()
  readonly #parsed = new Map<string, readonly IpPrefix[]>()
  readonly #strays = new Map<string, Stray>()
  readonly #former: readonly IpPrefix[]

  /** `former`: ranges of another CNI, which has routes to its pods. */
  constructor(pods: Table<PodRow>, former: readonly Prefix[] = []) {
    this.#pods = pods
    this.#former = former.map(parsePrefix)
    this.#follower = pods.follow('stray-pods')
  }

  /**
   * Takes in what has changed; true when other addresses are outside than before. Costs the pods that changed, and a look
   * at every pod when `ranges` is another map than in the call before and some node has others in it.
   */
  update(ranges: ReadonlyMap<string, readonly Prefix[]>): boolean {
    const moved = this.#takeRanges(ranges)
    const { updated, deleted } = this.#follower.take()
    let changed = false
    for (const pod of deleted) changed = this.#strays.delete(this.#pods.keyOf(pod)) || changed
    for (const pod of updated) changed = this.#judge(pod) || changed
    if (moved.size === 0) return changed
    const judged = new Set(updated)
    for (const pod of this.#pods) if (moved.has(pod.nodeName) && !judged.has(pod)) changed = this.#judge(pod) || changed
    return changed
  }

  /** Addresses outside by node, each as the prefix of itself alone. */
  byNode(): Map<string, Prefix[]> {
    const found = new Map<string, Prefix[]>()
    for (const { node, prefixes } of this.#strays.values()) {
      const others = found.get(node)
      if (others === undefined) found.set(node, [...prefixes])
      else others.push(...prefixes)
    }
    return found
  }

  [Symbol.dispose](): void {
    this.#follower[Symbol.dispose]()
  }

  /** Names of nodes that have other ranges than before. */
  #takeRanges(ranges: ReadonlyMap<string, readonly Prefix[]>): Set<string> {
    const moved = new Set<string>()
    if (ranges === this.#ranges) return moved
    for (const [name, own] of ranges) {
      if (String(this.#ranges.get(name)) === String(own)) continue
      moved.add(name)
      this.#parsed.set(name, own.map(parsePrefix))
    }
    for (const name of this.#ranges.keys()) if (!ranges.has(name) && this.#parsed.delete(name)) moved.add(name)
    this.#ranges = ranges
    return moved
  }

  /** True when the pod's part in the answer is another than before. */
  #judge(pod: PodRow): boolean {
    const key = this.#pods.keyOf(pod)
    const before = this.#strays.get(key)
    const ranges = this.#parsed.get(pod.nodeName)
    const prefixes = ranges === undefined || pod.hostNetwork ? [] : outside(pod, [...ranges, ...this.#former])
    if (prefixes.length === 0) return this.#strays.delete(key)
    this.#strays.set(key, { node: pod.nodeName, prefixes })
    return before?.node !== pod.nodeName || String(before.prefixes) !== String(prefixes)
  }
}

function outside(pod: PodRow, ranges: readonly IpPrefix[]): Prefix[] {
  return pod.addresses
    .map(address => ({ address, parsed: parseAddress(address) }))
    .filter(({ parsed }) => !ranges.some(range => covers(range, parsed)))
    .map(({ address }) => hostPrefix(address))
}

/**
 * Addresses of pods outside the ranges of their nodes: those `seen` by Pod objects, and those that the nodes' daemons
 * publish, each the first's that claims it. What lies in a range of this node, or is a node's own address, is no other
 * node's pod, whoever says so. Pure.
 */
export function straysOf(
  seen: ReadonlyMap<string, readonly Prefix[]>,
  ranges: ReadonlyMap<string, readonly Prefix[]>,
  nodes: Iterable<NodeRow>,
  self: string,
): ReadonlyMap<string, readonly Prefix[]> {
  const all = [...nodes]
  const telling = all.filter(node => node.name !== self && node.podAddresses !== undefined)
  if (telling.length === 0) return seen
  const found = new Map(seen)
  const taken = new Set([...all.flatMap(node => node.addresses).map(hostPrefix), ...[...seen.values()].flat()])
  const rangesOf = (name: string): IpPrefix[] => (ranges.get(name) ?? []).map(parsePrefix)
  const own = rangesOf(self)
  for (const { name, podAddresses = [] } of telling.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const closed = [...own, ...rangesOf(name)]
    const prefixes = podAddresses
      .filter(address => !closed.some(range => covers(range, parseAddress(address))))
      .map(hostPrefix)
      .filter(prefix => !taken.has(prefix))
    for (const prefix of prefixes) taken.add(prefix)
    if (prefixes.length > 0) found.set(name, [...(seen.get(name) ?? []), ...prefixes])
  }
  return found
}
