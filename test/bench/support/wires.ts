/**
 * What a bench compares the pod network with: wires of other kinds between the same pods' namespaces, so that the same
 * two processes reach each other by every one of them.
 *
 *   bare    one veth pair from pod to pod
 *   floor   two pairs; between them a program that only looks up and redirects
 *   bridge  two pairs into a bridge
 *   routed  two pairs into a namespace that routes
 *   across  as far as to a pod of another node: router, bridge, router
 *   nft, iptables
 *           as routed; whoever compares services puts rules there (service-rules.ts)
 */
import type { NetRequest, Route } from '../../../daemon/kernel/kernel.ts'

export const WIRES = ['bare', 'floor', 'bridge', 'routed', 'across', 'nft', 'iptables'] as const
export type WireName = (typeof WIRES)[number]
/** One namespace in the middle routes. */
export const ROUTED = ['routed', 'nft', 'iptables'] as const
const SPLIT: readonly WireName[] = [...ROUTED, 'across']

/** nsfs paths. */
export interface WirePlaces {
  /** Namespaces of the pods that the wires join: two of one node, and one of another. */
  readonly a: string
  readonly b: string
  readonly far: string
  /** Empty namespaces. */
  readonly floor: string
  readonly bridge: string
  readonly routed: string
  readonly nft: string
  readonly iptables: string
  readonly across: readonly [router: string, bridge: string, router: string]
}

/** What to do in which namespace, in order. */
export interface WireStep {
  readonly netns: string
  readonly requests: readonly NetRequest[]
}

/** The block that the floor's program is put on. */
export const FLOOR_BLOCK = 1

/** Address of an end of a wire; end 1 is in pod a, end 2 in the other, 3 and 4 are routers'. */
export function wireAddress(wire: WireName, end: number, family: 4 | 6): string {
  const net = `${WIRES.indexOf(wire) + 1}${end === 2 || end === 4 ? 2 : 1}`
  // Both ends are in one network unless something routes between them.
  const shared = SPLIT.includes(wire) ? net : net.replace(/2$/, '1')
  return family === 4 ? `10.201.${shared}.${end}` : `fd00:201:${shared}::${end}`
}

/** Name of the host side of a floor's pair that leads to an end. */
export function floorDevice(end: 1 | 2): string {
  return `floor${end}`
}

/** Pure: the steps that turn pods and empty namespaces into wires. Routing must be switched on in those that route. */
export function planWires(places: WirePlaces): WireStep[] {
  const { a, b, far } = places
  return [
    { netns: a, requests: [pair('bare0', 1, { name: 'bare0', end: 2, netns: b })] },
    ...joined('floor', places.floor, a, b, end => ({ name: floorDevice(end) })),
    { netns: places.floor, requests: [1, 2].map(end => bind(floorDevice(end as 1 | 2))) },
    { netns: places.bridge, requests: [{ op: 'link-add', link: { kind: 'bridge', name: 'joint', up: true } }] },
    ...joined('bridge', places.bridge, a, b, end => ({ name: `to${end}`, master: 'joint' })),
    ...ROUTED.flatMap(wire => [
      ...joined(wire, places[wire], a, b, end => ({ name: `to${end}` })),
      { netns: places[wire], requests: [...gateway(wire, 1), ...gateway(wire, 2)] },
    ]),
    ...planAcross(places),
    ...WIRES.flatMap(wire => [
      { netns: a, requests: endRequests(wire, 1) },
      { netns: wire === 'across' ? far : b, requests: endRequests(wire, 2) },
    ]),
  ]
}

type Side = { readonly name: string; readonly master?: string }

/** MAC of the pod's end of a wire, known beforehand to whoever needs no neighbour discovery. */
function endMac(end: number): string {
  return `02:00:00:00:b0:0${end}`
}

function pair(
  name: string,
  end: number,
  peer: { readonly name: string; readonly end: number; readonly netns: string },
): NetRequest {
  const { netns } = peer
  return {
    op: 'link-add',
    link: { kind: 'veth', name, mac: endMac(end), peer: { name: peer.name, mac: endMac(peer.end), netns } },
  }
}

/** Two pairs from a namespace in the middle to the two ends. */
function joined(wire: WireName, middle: string, a: string, b: string, side: (end: 1 | 2) => Side): WireStep[] {
  const requests = ([1, 2] as const).map(
    (end): NetRequest => ({
      op: 'link-add',
      link: {
        kind: 'veth',
        up: true,
        ...side(end),
        peer: { name: `${wire}0`, mac: endMac(end), netns: end === 1 ? a : b },
      },
    }),
  )
  return [{ netns: middle, requests }]
}

function bind(link: string): NetRequest {
  return { op: 'clsact-add', link, ingressBlock: FLOOR_BLOCK }
}

/** A router's address towards an end: 3 towards 1, 4 towards 2. */
function gateway(wire: WireName, end: 1 | 2): NetRequest[] {
  return addresses(`to${end}`, wire, end + 2)
}

function addresses(link: string, wire: WireName, end: number): NetRequest[] {
  return [
    { op: 'address-add', link, address: `${wireAddress(wire, end, 4)}/24` },
    { op: 'address-add', link, address: `${wireAddress(wire, end, 6)}/64`, noDad: true },
  ]
}

/** Addresses of a pod's end, and how it reaches the other one. */
function endRequests(wire: WireName, end: 1 | 2): NetRequest[] {
  const link = `${wire}0`
  const other = end === 1 ? 2 : 1
  const up: NetRequest[] = [{ op: 'link-set', link, up: true }, ...addresses(link, wire, end)]
  if (wire === 'floor') {
    const known = ([4, 6] as const).map((family): NetRequest => {
      return { op: 'neighbour-add', link, address: wireAddress(wire, other, family), mac: endMac(other) }
    })
    return [...up, ...known]
  }
  if (!SPLIT.includes(wire)) return up
  return [...up, ...routes(wire, other, family => wireAddress(wire, end + 2, family))]
}

/** Routes to the network of an end. */
function routes(wire: WireName, to: 1 | 2, via: (family: 4 | 6) => string): NetRequest[] {
  const network = (family: 4 | 6): string =>
    family === 4 ? wireAddress(wire, to, 4).replace(/\d+$/, '0/24') : wireAddress(wire, to, 6).replace(/\d+$/, '/64')
  const route = (family: 4 | 6): Route => ({ dst: network(family), via: via(family) })
  return ([4, 6] as const).map(family => ({ op: 'route-add', route: route(family) }))
}

/** Two routers with a bridge between them, as two nodes on one link. */
function planAcross({ a, far, across }: WirePlaces): WireStep[] {
  const [near, bridge, distant] = across
  const router = (netns: string, end: 1 | 2, pod: string): WireStep[] => {
    const uplink = `up${end}`
    return [
      {
        netns,
        requests: [
          { op: 'link-add', link: { kind: 'veth', name: `to${end}`, up: true, peer: { name: 'across0', netns: pod } } },
          ...gateway('across', end),
        ],
      },
      {
        netns: bridge,
        requests: [
          {
            op: 'link-add',
            link: { kind: 'veth', name: uplink, master: 'joint', up: true, peer: { name: uplink, netns } },
          },
        ],
      },
      {
        netns,
        requests: [
          { op: 'link-set', link: uplink, up: true },
          { op: 'address-add', link: uplink, address: `10.202.0.${end}/24` },
          { op: 'address-add', link: uplink, address: `fd00:202::${end}/64`, noDad: true },
          ...routes('across', end === 1 ? 2 : 1, f => (f === 4 ? `10.202.0.${3 - end}` : `fd00:202::${3 - end}`)),
        ],
      },
    ]
  }
  return [
    { netns: bridge, requests: [{ op: 'link-add', link: { kind: 'bridge', name: 'joint', up: true } }] },
    ...router(near, 1, a),
    ...router(distant, 2, far),
  ]
}
