/**
 * How each remote prefix is reached: a pure function from nodes, pods and this node's own addresses to kernel routes and
 * ipcache rows. Family by family, a node of the same native network, or without one on the same link, is reached natively,
 * all others through the overlay (`choose-way.ts`), unless the configuration says one of the two for all.
 */
import { covers, familyIn, hostPrefix, parseAddress, parsePrefix, widthOf } from '../kernel/ip.ts'
import { type Address, CAUSEWAY_PROTOCOL, type Family, type Prefix } from '../kernel/kernel.ts'
import type { HostAddressRow, IpcacheRow, NodeRow, RouteRow } from '../state/tables.ts'
import { type Choice, chooseWay } from './choose-way.ts'
import type { Gateway } from './gateways.ts'

export type RoutingMode = 'auto' | 'native' | 'overlay'

/** Next hops inside the overlay: one address a family, resolved to the overlay's MAC by a permanent neighbour. */
export const OVERLAY_GATEWAY: Readonly<Record<Family, Address>> = { 4: '169.254.1.2', 6: 'fe80::2' }
export const OVERLAY_DEVICE = 'cw-vxlan'
/** Of the routes that end this node's own ranges: every other route to the same prefix comes before. */
export const LAST_RESORT = 0xffff_fffe
export const PATH_ROUTES = 'paths'
const FAMILIES: readonly Family[] = [4, 6]

export interface WaysInput {
  readonly self: string
  readonly mode: RoutingMode
  readonly families: readonly Family[]
  readonly nodes: readonly NodeRow[]
  /** Addresses of this node on any device. */
  readonly hostAddresses: readonly HostAddressRow[]
  /** Those on its uplinks, which say what is on-link. */
  readonly uplinkAddresses: readonly HostAddressRow[]
  /** Ranges of pods by node, this one included. */
  readonly ranges: ReadonlyMap<string, readonly Prefix[]>
  /** Prefixes of pods outside them by node. */
  readonly strays: ReadonlyMap<string, readonly Prefix[]>
  /** Of network interfaces of this machine, which pods have addresses of; none when absent. */
  readonly blocks?: readonly Prefix[]
  /** By which the node's routes lead to an address; undefined where none does. */
  readonly gateway: (address: Address) => Gateway | undefined
}

/** How a node is reached with packets of one family; a native way without `via` is the fabric's own. */
type Hop = { readonly why: string } & (
  | ({ readonly kind: 'native' } & Partial<Gateway>)
  | { readonly kind: 'overlay'; readonly tunnel: Address }
)

export interface Way {
  readonly node: Pick<NodeRow, 'name' | 'addresses'>
  /** Undefined where there is no way. */
  readonly hops: Readonly<Record<Family, Hop | undefined>>
  /** Of the node's pods. */
  readonly prefixes: readonly PrefixOf[]
  /** Of the node itself. */
  readonly addresses: readonly PrefixOf[]
}

interface PrefixOf {
  readonly prefix: Prefix
  readonly family: Family
  /** The cloud that this node is in, too, routes it. */
  readonly cloud?: boolean
}

/** The ways to all other nodes, and what ends here. */
export interface Ways {
  readonly ways: readonly Way[]
  /** This node's own ranges. */
  readonly ends: readonly Prefix[]
  /** Pods of this node have addresses of its network interfaces. */
  readonly nics: boolean
  /** Underlay family of the overlay where some path uses it. */
  readonly overlay: Family | undefined
  /** Where the node's own packets to pods come from. */
  readonly sources: Readonly<Record<Family, Address | undefined>>
  /** What cannot be reached, with the reason, for `status`. */
  readonly problems: readonly string[]
}

export interface Paths {
  readonly routes: readonly RouteRow[]
  readonly ipcache: readonly IpcacheRow[]
}

/**
 * Finds the ways to all other nodes, in order of their names; `planPaths` writes them down. Two steps, because MTUs depend
 * on whether the overlay is used, and routes on MTUs. Deterministic in its input.
 */
export function findWays(input: WaysInput): Ways {
  const { self, ranges, strays } = input
  const own = input.nodes.find(n => n.name === self)
  const near = onLink(input.uplinkAddresses)
  const underlay = underlayFamilies(own, input.uplinkAddresses)
  const others = input.nodes.filter(n => n.name !== self).sort((a, b) => (a.name < b.name ? -1 : 1))
  const nics = (input.blocks ?? []).length > 0
  const ways = others.map((node): Way => {
    const cloud = sameCloud(own, node)
    const tunnel = underlay.map(f => addressOf(node, f)).find(address => address !== undefined)
    const hop = (family: Family): Hop | undefined => {
      const via = near(node, family)
      const { kind, why } = choiceOf(input, { own, node, family, near: via !== undefined })
      if (kind === 'native') return { kind, why, ...(via === undefined ? beyond(input, node, family) : { via }) }
      return tunnel === undefined ? undefined : { kind, why, tunnel }
    }
    return {
      node,
      hops: node.addresses.length === 0 ? { 4: undefined, 6: undefined } : { 4: hop(4), 6: hop(6) },
      prefixes: [
        ...served([...(ranges.get(node.name) ?? []), ...(strays.get(node.name) ?? [])], input),
        ...served(node.cloudBlocks ?? [], input).map(prefix => ({ ...prefix, cloud })),
      ],
      addresses: served(node.addresses.map(hostPrefix), input).map(prefix => ({ ...prefix, cloud })),
    }
  })
  return {
    ways,
    ends: [...new Set(served([...(ranges.get(self) ?? []), ...(input.blocks ?? [])], input).map(p => p.prefix))],
    nics,
    overlay: overlayOf(ways, nics && (ranges.get(self) ?? []).length === 0),
    sources: { 4: sourceOf(own, input, 4), 6: sourceOf(own, input, 6) },
    problems: ways.flatMap(way => problemsOf(way, input)),
  }
}

/** What leads along the ways to the nodes' pods, and what ends here. */
export function planPaths({ ways, ends, sources, nics }: Ways, mtu: { native: number; overlay: number }): Paths {
  const routes: RouteRow[] = ends.map(endOf)
  const ipcache: IpcacheRow[] = []
  for (const { node, hops, prefixes, addresses } of ways) {
    // A node's own addresses are the underlay: the host's routes to them stay as they are, only pods tunnel to them.
    for (const { prefix, family, cloud } of addresses) {
      const hop = hops[family]
      const known = nics && cloud ? { cloud: true as const } : {}
      if (hop !== undefined) ipcache.push({ ...rowOf(prefix, node.name, hop), host: true, ...known })
    }
    for (const { prefix, family, cloud } of prefixes) {
      const hop = hops[family]
      if (hop === undefined) continue
      ipcache.push({ ...rowOf(prefix, node.name, hop), ...(nics && cloud ? { cloud: true } : {}) })
      // What the cloud routes the host reaches by its own routes.
      if (cloud) continue
      routes.push(...routeOf(prefix, hop, { source: sources[family], mtu: mtu[hop.kind] }))
    }
  }
  return { routes, ipcache }
}

interface Pair {
  readonly own: NodeRow | undefined
  readonly node: NodeRow
  readonly family: Family
  readonly near: boolean
}

/** Natively go those families of which both Nodes have an address: the other one knows no more of this one. */
function choiceOf({ mode }: Pick<WaysInput, 'mode'>, { own, node, family, near }: Pair): Choice {
  if (mode !== 'auto') return { kind: mode, why: `routing.mode ${mode}` }
  const choice = chooseWay(own ?? {}, node, near)
  const both = [own, node].every(end => end === undefined || addressOf(end, family) !== undefined)
  return choice.kind === 'overlay' || both ? choice : { kind: 'overlay', why: `${choice.why} without IPv${family}` }
}

/**
 * To a node beyond our links the fabric leads. In mode native the node's other routes cover the pods, and one by the
 * node's address would be refused; a native network needs one by the gateway that leads to the node, for the node may
 * have several uplinks.
 */
function beyond({ mode, gateway }: WaysInput, node: NodeRow, family: Family): Partial<Gateway> {
  const address = addressOf(node, family)
  return mode === 'native' || address === undefined ? {} : (gateway(address) ?? {})
}

/**
 * Gives a node's address of a family where that is on-link. Uplinks whose addresses of one family are single ones, as
 * DHCPv6 gives them, do not tell; there the node is where its other address is.
 */
function onLink(addresses: readonly HostAddressRow[]): (node: NodeRow, family: Family) => Address | undefined {
  const prefixes = addresses.map(a => parsePrefix(`${a.address}/${a.prefixLength}`))
  const vague = (family: Family): boolean => {
    const own = prefixes.filter(p => p.family === family)
    return own.length > 0 && own.every(p => p.length === widthOf(family))
  }
  const blind = { 4: vague(4), 6: vague(6) }
  const near = (address: Address): boolean => prefixes.some(prefix => covers(prefix, parseAddress(address)))
  return (node, family) => {
    const address = addressOf(node, family)
    if (address === undefined || near(address)) return address
    return blind[family] && node.addresses.some(near) ? address : undefined
  }
}

/** Families that the underlay can carry from here, IPv4 first; both while nothing is known of this node. */
function underlayFamilies(own: NodeRow | undefined, uplinkAddresses: readonly HostAddressRow[]): readonly Family[] {
  const held = [...(own?.addresses ?? []), ...uplinkAddresses.filter(isGlobal).map(a => a.address)].map(familyIn)
  return held.length === 0 ? FAMILIES : FAMILIES.filter(f => held.includes(f))
}

function addressOf(node: Pick<NodeRow, 'addresses'>, family: Family): Address | undefined {
  return node.addresses.find(a => familyIn(a) === family)
}

/**
 * The address of the Node object, by which the others know this node, as far as the node holds it. An uplink may carry
 * more, such as a virtual address or a temporary one of IPv6.
 */
function sourceOf(
  own: NodeRow | undefined,
  { hostAddresses, uplinkAddresses }: WaysInput,
  family: Family,
): Address | undefined {
  const named = own && addressOf(own, family)
  if (hostAddresses.some(a => a.address === named)) return named
  return uplinkAddresses.find(a => isGlobal(a) && familyIn(a.address) === family)?.address
}

function isGlobal({ scope }: HostAddressRow): boolean {
  return scope === 'global'
}

function served(prefixes: readonly Prefix[], { families }: WaysInput): PrefixOf[] {
  return prefixes
    .map(prefix => ({ prefix, family: familyIn(prefix) }))
    .filter(({ family }) => families.includes(family))
}

/** Whether both are in one cloud, whose network reaches both. */
function sameCloud(own: NodeRow | undefined, node: NodeRow): boolean {
  return own?.cloud !== undefined && own.cloud !== 'none' && own.cloud === node.cloud
}

/**
 * A way that nothing leads along does not count: its header would cost every pod. So where all pods are `native` ones,
 * whose addresses the cloud routes, ways to what it routes too.
 */
function overlayOf(ways: readonly Way[], native: boolean): Family | undefined {
  const used = new Set<Family>()
  for (const { hops, prefixes, addresses } of ways)
    for (const { family, cloud } of [...prefixes, ...addresses]) {
      if (native && cloud) continue
      const hop = hops[family]
      if (hop?.kind === 'overlay') used.add(familyIn(hop.tunnel))
    }
  return used.has(6) ? 6 : used.has(4) ? 4 : undefined
}

function problemsOf({ node, hops, prefixes }: Way, { mode }: Pick<WaysInput, 'mode'>): string[] {
  if (node.addresses.length === 0) return [`node ${node.name}: has no InternalIP address`]
  return prefixes.flatMap(({ prefix, family, cloud }) => {
    const hop = hops[family]
    if (cloud) return []
    if (hop === undefined) return `node ${node.name}: no address of a family that this node has, to reach ${prefix} by`
    if (hop.kind === 'overlay') return []
    const address = addressOf(node, family)
    if (address === undefined) return `node ${node.name}: no IPv${family} address to reach ${prefix} by`
    const lost = mode === 'auto' && hop.via === undefined
    return lost ? `node ${node.name}: no route leads to ${address}, by which ${prefix} is reached (${hop.why})` : []
  })
}

/** Ends a range of this node: what no pod has is answered here, else it would leave by the default route. */
function endOf(dst: Prefix): RouteRow {
  return { dst, type: 'unreachable', metric: LAST_RESORT, protocol: CAUSEWAY_PROTOCOL, owner: PATH_ROUTES }
}

/** The host's route to a prefix; none where the fabric leads there. */
function routeOf(
  dst: Prefix,
  hop: Hop,
  by: { readonly source: Address | undefined; readonly mtu: number },
): RouteRow[] {
  const src = by.source === undefined ? {} : { src: by.source }
  const common = { dst, protocol: CAUSEWAY_PROTOCOL, owner: PATH_ROUTES, mtu: by.mtu, ...src }
  if (hop.kind === 'overlay')
    return [{ ...common, via: OVERLAY_GATEWAY[familyIn(dst)], link: OVERLAY_DEVICE, onlink: true }]
  const { kind: _kind, why: _why, via, ...rest } = hop
  return via === undefined ? [] : [{ ...common, via, ...rest }]
}

function rowOf(prefix: Prefix, node: string, hop: Hop): IpcacheRow {
  return {
    prefix,
    node,
    path: hop.kind === 'overlay' ? { kind: 'overlay', tunnel: hop.tunnel } : { kind: 'native' },
    why: hop.why,
  }
}
