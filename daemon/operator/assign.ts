/**
 * Which node gets which pod ranges. Pure: the same cluster gives the same answer. What a node has it keeps, whatever
 * becomes of its pool, for its pods have addresses of it; a range is given once it overlaps nothing that anybody has.
 */
import { covers, familyIn, type IpPrefix, parsePrefix } from '../kernel/ip.ts'
import type { Family, Prefix } from '../kernel/kernel.ts'
import { selects } from '../state/selectors.ts'
import { BlockSpace } from './block-space.ts'
import type { ClusterNodeRow, IpPoolRow, NodeNetworkRow } from './rows.ts'
import { isOfLife } from './strays.ts'

export interface Cluster {
  readonly nodes: Iterable<ClusterNodeRow>
  readonly networks: Iterable<NodeNetworkRow>
  readonly pools: Iterable<IpPoolRow>
  /**
   * NodeNetworks that went a moment ago: others may still send to their ranges, so that nobody gets one, but a Node that
   * was made anew while its machine ran on.
   */
  readonly resting: readonly FormerNetwork[]
  /** What others have: addresses of nodes and services. No range with a part of it is given. */
  readonly foreign?: readonly IpPrefix[]
}

export type FormerNetwork = Pick<NodeNetworkRow, 'name' | 'nodeUid' | 'podCidrs' | 'pool' | 'bootId'>

/** What a node's NodeNetwork shall be. */
export interface WantedNetwork {
  readonly node: ClusterNodeRow
  readonly podCidrs: readonly Prefix[]
  readonly pool: string
}

export interface PoolUse {
  readonly pool: IpPoolRow
  /** Nodes that have a range of it. */
  readonly nodes: number
  /** Ranges that can still be given, the least of its families; never more than Number.MAX_SAFE_INTEGER. */
  readonly free: number
  /** Why it cannot be used as it is written; other pools are. */
  readonly conflict: string | undefined
}

export interface Assignment {
  /** NodeNetworks that are missing or lack a range, in the order of their names. */
  readonly wanted: readonly WantedNetwork[]
  readonly uses: readonly PoolUse[]
  /** Nodes that a pool selects and that has nothing left for them, with its name. */
  readonly starved: readonly { readonly node: ClusterNodeRow; readonly pool: string; readonly family: Family }[]
  /** Ranges that two nodes have, of which the younger NodeNetwork must go. */
  readonly overlaps: readonly { readonly network: NodeNetworkRow; readonly other: string; readonly range: Prefix }[]
}

interface OpenPool {
  readonly pool: IpPoolRow
  readonly spaces: readonly BlockSpace[]
  readonly conflict: string | undefined
}

export function assign({ nodes, networks, pools, resting, foreign = [] }: Cluster): Assignment {
  const byName = new Map([...networks].map(network => [network.name, network]))
  const all = [...nodes].sort(byNameOf)
  const open = openPools(pools)
  const ranges = [
    ...[...byName.values()].flatMap(network => network.podCidrs),
    ...all.flatMap(node => node.podCidrs),
    ...resting.flatMap(network => network.podCidrs),
  ]
  const held = [...ranges.map(parsePrefix), ...foreign]
  for (const { spaces } of open) for (const space of spaces) for (const prefix of held) space.take(prefix)
  const wanted: WantedNetwork[] = []
  const starved: Assignment['starved'][number][] = []
  for (const node of all) {
    const last = byName.get(node.name)
    // That of another Node of this name goes first.
    if (last !== undefined && !isOfLife(last, node)) continue
    const { podCidrs, pool, lacking } = rangesOf(node, last ?? formerOf(node, resting), open)
    if (last === undefined || podCidrs.length > last.podCidrs.length) wanted.push({ node, podCidrs, pool })
    for (const family of lacking) starved.push({ node, pool, family })
  }
  return { wanted, uses: open.map(each => useOf(each, byName, wanted)), starved, overlaps: overlapsOf(byName) }
}

/** What the node has, and from the first pool that selects it a range of each family of that pool which it lacks. */
function rangesOf(
  node: ClusterNodeRow,
  network: FormerNetwork | undefined,
  pools: readonly OpenPool[],
): { readonly podCidrs: readonly Prefix[]; readonly pool: string; readonly lacking: readonly Family[] } {
  const has = network?.podCidrs ?? []
  const usable = pools.filter(({ conflict }) => conflict === undefined)
  // A node that has ranges stays with its pool: those of another would be another network.
  const own = usable.find(({ pool }) => pool.name === network?.pool)
  const chosen = has.length > 0 ? own : usable.find(({ pool }) => selects(pool.nodes, node.labels))
  if (chosen === undefined) return { podCidrs: has, pool: network?.pool ?? '', lacking: [] }
  const families = new Set(chosen.spaces.map(space => space.family))
  const given: Prefix[] = []
  const lacking: Family[] = []
  for (const family of families) {
    if (has.some(prefix => familyIn(prefix) === family)) continue
    const range = firstOf(chosen.spaces, family)
    if (range === undefined) lacking.push(family)
    else given.push(range)
  }
  return { podCidrs: [...has, ...given], pool: chosen.pool.name, lacking }
}

/**
 * Pods do not outlive the kernel that they were started on; until then they keep their addresses. A NodeNetwork that somebody
 * deletes while its Node stays was meant to go: what it had is not given to that node again.
 */
function formerOf({ name, uid, bootId }: ClusterNodeRow, resting: readonly FormerNetwork[]): FormerNetwork | undefined {
  const last = resting.findLast(network => network.name === name)
  return last !== undefined && last.nodeUid !== uid && last.bootId !== '' && last.bootId === bootId ? last : undefined
}

function firstOf(spaces: readonly BlockSpace[], family: Family): Prefix | undefined {
  for (const space of spaces) {
    const range = space.family === family ? space.give() : undefined
    if (range !== undefined) return range
  }
  return undefined
}

/** In the order in which they count; one whose ranges another has already is not used. */
function openPools(pools: Iterable<IpPoolRow>): readonly OpenPool[] {
  const sorted = [...pools].sort(
    (a, b) => b.priority - a.priority || compare(a.created, b.created) || compare(a.name, b.name),
  )
  return sorted.map((pool, n) => ({
    pool,
    spaces: pool.ranges.map(range => new BlockSpace(range)),
    conflict: conflictOf(pool, sorted.slice(0, n)),
  }))
}

function conflictOf(pool: IpPoolRow, earlier: readonly IpPoolRow[]): string | undefined {
  for (const { cidr } of pool.ranges)
    for (const other of earlier)
      for (const range of other.ranges) {
        const [a, b] = [parsePrefix(cidr), parsePrefix(range.cidr)]
        if (covers(a, b) || covers(b, a)) return `${cidr} overlaps ${range.cidr} of pool ${other.name}`
      }
  return undefined
}

function useOf(
  { pool, spaces, conflict }: OpenPool,
  networks: ReadonlyMap<string, NodeNetworkRow>,
  wanted: readonly WantedNetwork[],
): PoolUse {
  const changed = new Set(wanted.map(({ node }) => node.name))
  const users = [...[...networks.values()].filter(network => !changed.has(network.name)), ...wanted].filter(
    user => user.pool === pool.name && user.podCidrs.length > 0,
  )
  const families = new Set(spaces.map(space => space.family))
  const free = [...families].map(family =>
    spaces.filter(space => space.family === family).reduce((sum, space) => sum + Number(space.total - space.used), 0),
  )
  return { pool, nodes: users.length, free: Math.min(...free, Number.MAX_SAFE_INTEGER), conflict }
}

/** Sorted by address, what overlaps stands together. */
function overlapsOf(networks: ReadonlyMap<string, NodeNetworkRow>): Assignment['overlaps'] {
  const all = [...networks.values()].flatMap(network =>
    network.podCidrs.map(range => ({ network, range, prefix: parsePrefix(range) })),
  )
  all.sort((a, b) => {
    if (a.prefix.family !== b.prefix.family) return a.prefix.family - b.prefix.family
    if (a.prefix.value !== b.prefix.value) return a.prefix.value < b.prefix.value ? -1 : 1
    return a.prefix.length - b.prefix.length
  })
  const found: Assignment['overlaps'][number][] = []
  let widest = all[0]
  for (const each of all.slice(1)) {
    if (widest === undefined || !covers(widest.prefix, each.prefix)) widest = each
    else if (widest.network !== each.network) {
      const younger = isYounger(each.network, widest.network) ? each : widest
      const older = younger === each ? widest : each
      found.push({ network: younger.network, other: older.network.name, range: younger.range })
    }
  }
  return found
}

function isYounger(a: NodeNetworkRow, b: NodeNetworkRow): boolean {
  return (compare(a.created, b.created) || compare(a.name, b.name)) > 0
}

function byNameOf(a: { readonly name: string }, b: { readonly name: string }): number {
  return compare(a.name, b.name)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
