/** The small world every test of the programs lives in: two pods on a node, another node, and the outside. */
import { eth, ipv4, ipv6, type Layer } from '../support/packet.ts'

export type Family = 4 | 6
export const FAMILIES: readonly Family[] = [4, 6]

/** Addresses by family. */
export interface Both {
  readonly 4: string
  readonly 6: string
}
export interface PodFacts extends Both {
  readonly id: number
  readonly mac: string
  /** Of the host's side of its pair. */
  readonly hostMac: string
}

export const A: PodFacts = {
  4: '10.10.0.2',
  6: 'fd00:10::2',
  id: 11,
  mac: '02:00:00:00:0a:01',
  hostMac: '02:00:00:00:0a:02',
}
export const B: PodFacts = {
  4: '10.10.0.3',
  6: 'fd00:10::3',
  id: 12,
  mac: '02:00:00:00:0b:01',
  hostMac: '02:00:00:00:0b:02',
}
/** The node itself; its MAC is the uplink's. */
export const HOST: Both = { 4: '192.168.7.1', 6: 'fd00:7::1' }
export const UPLINK_MAC = '02:00:00:00:07:01'
/** MAC of the overlay device, on every node. */
export const OVERLAY_MAC = '02:ca:05:e0:00:01'
/** A neighbour on the uplink. */
export const ROUTER: Both & { readonly mac: string } = { 4: '192.168.7.254', 6: 'fd00:7::fe', mac: '02:00:00:00:07:fe' }
/** Another network interface of the node: its own address, and its subnet's router. */
export const NIC: Both = { 4: '192.168.8.1', 6: 'fd00:8::1' }
export const NIC_MAC = '02:00:00:00:08:01'
export const NIC_ROUTER: Both & { readonly mac: string } = {
  4: '192.168.8.254',
  6: 'fd00:8::fe',
  mac: '02:00:00:00:08:fe',
}
/** Pods of other nodes: reached through the overlay over IPv4, over IPv6, and natively. */
export const OVERLAID: Both = { 4: '10.20.0.5', 6: 'fd00:20::5' }
export const OVERLAID_ON_6: Both = { 4: '10.26.0.5', 6: 'fd00:26::5' }
export const NATIVE: Both = { 4: '10.30.0.5', 6: 'fd00:30::5' }
/** The other node's ends of the tunnels, which are neighbours on the uplink; by the family of the underlay. */
export const TUNNEL_END: Both & { readonly mac: string } = {
  4: '192.168.7.2',
  6: 'fd00:7::2',
  mac: '02:00:00:00:07:02',
}
/** Next hop to the native one; nobody has resolved it yet. */
export const NATIVE_NODE: Both = { 4: '192.168.7.3', 6: 'fd00:7::3' }
/** Prefixes of the pods above, with the node's tunnel address; the native one has a route only. And the nodes. */
export const PREFIXES: readonly {
  readonly prefix: string
  readonly tunnel: string | undefined
  /** An address of the node itself. */
  readonly node?: true
}[] = [
  { prefix: '10.20.0.0/24', tunnel: TUNNEL_END[4] },
  { prefix: 'fd00:20::/64', tunnel: TUNNEL_END[4] },
  { prefix: '10.26.0.0/24', tunnel: TUNNEL_END[6] },
  { prefix: 'fd00:26::/64', tunnel: TUNNEL_END[6] },
  { prefix: '10.30.0.0/24', tunnel: undefined },
  { prefix: 'fd00:30::/64', tunnel: undefined },
  { prefix: `${NATIVE_NODE[4]}/32`, tunnel: undefined, node: true },
  { prefix: `${NATIVE_NODE[6]}/128`, tunnel: undefined, node: true },
]
/** Anything else, by the default route. */
export const OUTSIDE: Both = { 4: '198.51.100.9', 6: '2001:db8::9' }
/** Destinations with routes that say no. */
export const UNREACHABLE: Both = { 4: '10.99.0.1', 6: 'fd00:99::1' }
export const BLACKHOLE: Both = { 4: '10.98.0.1', 6: 'fd00:98::1' }

export const VNI = 202

/** An IP header between two, of either family; `hops` is time to live and hop limit. */
export function ip(family: Family, src: Both, dst: Both, hops = 64): Layer {
  return family === 4
    ? ipv4({ src: src[4], dst: dst[4], ttl: hops })
    : ipv6({ src: src[6], dst: dst[6], hopLimit: hops })
}

/** A frame as a pod sends it: to the host's side of its pair. */
export function fromPod(pod: PodFacts): Layer {
  return eth({ src: pod.mac, dst: pod.hostMac })
}
/** A frame as a pod gets it. */
export function toPod(pod: PodFacts): Layer {
  return eth({ src: pod.hostMac, dst: pod.mac })
}
/** A frame that arrives at the uplink for this node. */
export const fromRouter: Layer = eth({ src: ROUTER.mac, dst: UPLINK_MAC })
