/**
 * How each remote prefix is reached: a pure function from nodes, pods and this node's own links to kernel routes and
 * ipcache rows. A node whose address is on one of our links is reached natively, all others through the overlay,
 * unless the configuration says one of the two for all.
 */
import { covers, familyOf, parseAddress, parsePrefix, prefixContains } from '../kernel/ip.ts'
import { type AddressInfo, type Address, CAUSEWAY_PROTOCOL, type Family, type Prefix } from '../kernel/kernel.ts'
import type { IpcacheRow, NodeRow, PodRow, RouteRow } from '../state/tables.ts'

export type RoutingMode = 'auto' | 'native' | 'overlay'

/** Next hops inside the overlay: one address a family, resolved to the overlay's MAC by a permanent neighbour. */
export const OVERLAY_GATEWAY: Readonly<Record<Family, Address>> = { 4: '169.254.1.2', 6: 'fe80::2' }
export const OVERLAY_DEVICE = 'cw-vxlan'
const OWNER = 'paths'

export interface PathsInput {
  readonly self: string
  readonly mode: RoutingMode
  readonly families: readonly Family[]
  readonly nodes: Iterable<NodeRow>
  readonly pods: Iterable<PodRow>
  /** Addresses on this node's uplinks: what is on-link, and the source of the node's own packets to pods. */
  readonly uplinkAddresses: readonly AddressInfo[]
  readonly mtu: { readonly native: number; readonly overlay: number }
}

export interface Paths {
  readonly routes: readonly RouteRow[]
  readonly ipcache: readonly IpcacheRow[]
  /** Underlay family of the overlay where some path uses it. */
  readonly overlay: Family | undefined
  /** Nodes that cannot be reached, with the reason, for `status`. */
  readonly problems: readonly string[]
}

interface Reach {
  readonly node: NodeRow
  readonly kind: 'native' | 'overlay'
  readonly tunnel: Address
}

/** Plans the ways to all other nodes; deterministic in its input. */
export function planPaths(input: PathsInput): Paths {
  const routes: RouteRow[] = []
  const ipcache: IpcacheRow[] = []
  const problems: string[] = []
  const nodes = [...input.nodes].filter(n => n.name !== input.self).sort((a, b) => (a.name < b.name ? -1 : 1))
  const reaches = new Map<string, Reach>()
  for (const node of nodes) {
    const reach = reachOf(node, input)
    if (typeof reach === 'string') problems.push(reach)
    else reaches.set(node.name, reach)
  }
  const strays = strayPods(reaches, input.pods)
  for (const reach of reaches.values()) {
    // A node's own addresses are the underlay: the host's routes to them stay as they are, only pods tunnel to them.
    for (const address of reach.node.addresses) {
      if (reach.kind === 'overlay' && served(hostPrefix(address), input)) ipcache.push(row(hostPrefix(address), reach))
    }
    for (const prefix of [...reach.node.podCidrs, ...(strays.get(reach.node.name) ?? [])]) {
      if (!served(prefix, input)) continue
      ipcache.push(row(prefix, reach))
      const route = routeTo(prefix, reach, input)
      if (route === undefined)
        problems.push(`node ${reach.node.name}: no IPv${parsePrefix(prefix).family} address to reach ${prefix} by`)
      else routes.push(route)
    }
  }
  const tunnelled = [...reaches.values()].filter(r => r.kind === 'overlay').map(r => familyOf(r.tunnel))
  return { routes, ipcache, overlay: tunnelled.includes(6) ? 6 : tunnelled[0], problems }
}

function reachOf(node: NodeRow, input: PathsInput): Reach | string {
  const first = node.addresses.find(a => familyOf(a) === 4) ?? node.addresses[0]
  if (first === undefined) return `node ${node.name}: has no InternalIP address`
  const onLink = node.addresses.some(a =>
    input.uplinkAddresses.some(u => prefixContains(`${u.address}/${u.prefixLength}`, a)),
  )
  const kind = input.mode === 'auto' ? (onLink ? 'native' : 'overlay') : input.mode
  return { node, kind, tunnel: first }
}

/** Addresses of pods that lie in no range of their node, by node: each gets a route of its own. */
function strayPods(reaches: ReadonlyMap<string, Reach>, pods: Iterable<PodRow>): Map<string, Prefix[]> {
  const ranges = new Map([...reaches].map(([name, { node }]) => [name, node.podCidrs.map(parsePrefix)]))
  const strays = new Map<string, Prefix[]>()
  for (const pod of pods) {
    const cidrs = ranges.get(pod.nodeName)
    if (cidrs === undefined || pod.hostNetwork) continue
    const outside = pod.addresses.filter(address => !cidrs.some(cidr => covers(cidr, parseAddress(address))))
    if (outside.length > 0) strays.set(pod.nodeName, [...(strays.get(pod.nodeName) ?? []), ...outside.map(hostPrefix)])
  }
  return strays
}

function routeTo(dst: Prefix, reach: Reach, input: PathsInput): RouteRow | undefined {
  const { family } = parsePrefix(dst)
  const src = input.uplinkAddresses.find(a => a.family === family && a.scope === 'global')?.address
  const common = { dst, protocol: CAUSEWAY_PROTOCOL, owner: OWNER, ...(src === undefined ? {} : { src }) }
  if (reach.kind === 'overlay') {
    return { ...common, via: OVERLAY_GATEWAY[family], link: OVERLAY_DEVICE, onlink: true, mtu: input.mtu.overlay }
  }
  const via = reach.node.addresses.find(a => familyOf(a) === family)
  return via === undefined ? undefined : { ...common, via, mtu: input.mtu.native }
}

function row(prefix: Prefix, reach: Reach): IpcacheRow {
  const path =
    reach.kind === 'overlay' ? ({ kind: 'overlay', tunnel: reach.tunnel } as const) : ({ kind: 'native' } as const)
  return { prefix, node: reach.node.name, path }
}

function served(prefix: Prefix, input: PathsInput): boolean {
  return input.families.includes(parsePrefix(prefix).family)
}

function hostPrefix(address: Address): Prefix {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`
}
