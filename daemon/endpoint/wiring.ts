/**
 * The kernel's part of a pod as data: which requests build the host side and the pod's side. Two sends make a pod: one
 * in the node's namespace, one in the pod's.
 */
import type { Blocks } from '../datapath/blocks.ts'
import { CAUSEWAY_PROTOCOL, type Kernel, type LinkSizes, type NetRequest, type Route } from '../kernel/kernel.ts'
import type { Lease } from '../plugin.ts'
import { defaultRoute, GATEWAY, hostPrefix } from './attachment.ts'

export interface Wiring {
  readonly key: string
  readonly device: string
  readonly hostMac: string
  readonly ifName: string
  readonly podMac: string
  readonly netnsPath: string
  readonly leases: readonly Lease[]
  readonly sizes: LinkSizes
  readonly routeMtu: number
  readonly blocks: Blocks
}

/** Everything in the node's namespace, the birth of the pod's side included. */
export function hostRequests(w: Wiring): NetRequest[] {
  const peer = { ...w.sizes, name: w.ifName, mac: w.podMac, netns: w.netnsPath }
  const host = { ...w.sizes, name: w.device, mac: w.hostMac, alias: w.key, addrGenMode: 'none' } as const
  return [
    { op: 'link-add', link: { kind: 'veth', ...host, peer } },
    bindRequest(w.device, w.blocks),
    { op: 'link-set', link: w.device, up: true },
    ...reachRequests(w.device, w.podMac, w.leases),
  ]
}

export function bindRequest(link: string | number, blocks: Blocks): NetRequest {
  return { op: 'clsact-add', link, ingressBlock: blocks.ingress, egressBlock: blocks.egress }
}

/** How the host's own stack reaches the pod: without ARP or neighbour discovery, which the pod could be slow to answer. */
export function reachRequests(link: string | number, mac: string, leases: readonly Lease[]): NetRequest[] {
  return leases.flatMap((lease): NetRequest[] => [
    { op: 'route-add', route: hostRoute(link, lease), replace: true },
    { op: 'neighbour-add', link, address: lease.address, mac, replace: true },
  ])
}

function hostRoute(link: string | number, lease: Lease): Route {
  const common = { dst: hostPrefix(lease), link, protocol: CAUSEWAY_PROTOCOL }
  return lease.family === 4 ? { ...common, scope: 'link' } : common
}

/** Everything in the pod's namespace. */
export function podRequests(w: Pick<Wiring, 'ifName' | 'leases' | 'routeMtu'>): NetRequest[] {
  return [
    { op: 'link-set', link: 'lo', up: true },
    { op: 'link-set', link: w.ifName, up: true },
    ...w.leases.map(
      lease => ({ op: 'address-add', link: w.ifName, address: hostPrefix(lease), noDad: lease.family === 6 }) as const,
    ),
    ...podRoutes(w).map(route => ({ op: 'route-add', route }) as const),
  ]
}

/** The gateway is no neighbour by prefix: IPv4 is told so by a link route, IPv6 by the on-link flag. */
export function podRoutes(w: Pick<Wiring, 'ifName' | 'leases' | 'routeMtu'>): Route[] {
  const common = { link: w.ifName, mtu: w.routeMtu, protocol: CAUSEWAY_PROTOCOL }
  return w.leases.flatMap(({ family }): Route[] => {
    const standard = { ...common, dst: defaultRoute(family), via: GATEWAY[family] }
    if (family === 6) return [{ ...standard, onlink: true }]
    return [{ link: w.ifName, protocol: CAUSEWAY_PROTOCOL, dst: `${GATEWAY[4]}/32`, scope: 'link' }, standard]
  })
}

/** Runtimes and images switch IPv6 off in the pod's namespace; a pod that has an IPv6 address needs it. */
export function enableIpv6(kernel: Kernel, netnsPath: string, ifName: string): void {
  const name = (device: string): string => `net.ipv6.conf.${device}.disable_ipv6`
  if (kernel.sysctl(name(ifName), netnsPath) !== '1') return
  for (const device of ['all', 'default', ifName]) kernel.setSysctl(name(device), '0', netnsPath)
}

/**
 * Strict reverse-path filtering would drop what reaches the host side by another way than its own route leads back:
 * replies of flows that entered the pod through another device. Loose (2) wins over a strict `all`, since the kernel
 * takes the larger of the two (ip-sysctl, rp_filter).
 */
export function loosenReversePath(kernel: Kernel, device: string): void {
  const value = (name: string): string | undefined => kernel.sysctl(`net.ipv4.conf.${name}.rp_filter`)
  if (value('all') === '1' || value(device) === '1') kernel.setSysctl(`net.ipv4.conf.${device}.rp_filter`, '2')
}
