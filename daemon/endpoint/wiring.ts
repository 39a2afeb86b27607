/**
 * The kernel's part of a pod as data: the request for the pair, those for the host side, those for the pod's side. Each
 * list goes in one send.
 */
import type { Blocks } from '../datapath/blocks.ts'
import { CAUSEWAY_PROTOCOL, type Kernel, type LinkSizes, type NetRequest, type Route } from '../kernel/kernel.ts'
import { deviceSysctl } from '../kernel/sysctl-name.ts'
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

/** The pair, the pod's side born in the pod's namespace. */
export function pairRequest(w: Wiring): NetRequest {
  const peer = { ...w.sizes, name: w.ifName, mac: w.podMac, netns: w.netnsPath }
  const host = { ...w.sizes, name: w.device, mac: w.hostMac, alias: w.key, addrGenMode: 'none' } as const
  return { op: 'link-add', link: { kind: 'veth', ...host, peer } }
}

/** What makes the host side work, by the pair's index: a name would have to be looked up first. */
export function hostRequests(w: Wiring, index: number): NetRequest[] {
  return [
    bindRequest(index, w.blocks),
    { op: 'link-set', link: index, up: true },
    ...reachRequests(index, w.podMac, w.leases),
  ]
}

export function bindRequest(link: number, blocks: Blocks): NetRequest {
  return { op: 'clsact-add', link, ingressBlock: blocks.ingress, egressBlock: blocks.egress }
}

/** How the host's own stack reaches the pod: without ARP or neighbour discovery, which the pod could be slow to answer. */
export function reachRequests(link: number, mac: string, leases: readonly Lease[]): NetRequest[] {
  return leases.flatMap((lease): NetRequest[] => [
    { op: 'route-add', route: hostRoute(link, lease), replace: true },
    { op: 'neighbour-add', link, address: lease.address, mac, replace: true },
  ])
}

function hostRoute(link: number, lease: Lease): Route {
  const common = { dst: hostPrefix(lease), link, protocol: CAUSEWAY_PROTOCOL }
  return lease.family === 4 ? { ...common, scope: 'link' } : common
}

/** Everything in the pod's namespace, where the interface has that index. */
export function podRequests(w: Pick<Wiring, 'leases' | 'routeMtu'>, index: number): NetRequest[] {
  return [
    { op: 'link-set', link: 'lo', up: true },
    { op: 'link-set', link: index, up: true },
    ...w.leases.map(
      lease => ({ op: 'address-add', link: index, address: hostPrefix(lease), noDad: lease.family === 6 }) as const,
    ),
    ...w.leases
      .flatMap(lease => podRoutes(lease, w.routeMtu, index))
      .map(route => ({ op: 'route-add', route }) as const),
  ]
}

/** The gateway is no neighbour by prefix: IPv4 is told so by a link route, IPv6 by the on-link flag. */
function podRoutes({ family }: Lease, mtu: number, link: number): Route[] {
  const standard = { link, mtu, protocol: CAUSEWAY_PROTOCOL, dst: defaultRoute(family), via: GATEWAY[family] }
  if (family === 6) return [{ ...standard, onlink: true }]
  return [{ link, protocol: CAUSEWAY_PROTOCOL, dst: `${GATEWAY[4]}/32`, scope: 'link' }, standard]
}

/** Runtimes and images switch IPv6 off in the pod's namespace; a pod that has an IPv6 address needs it. */
export function enableIpv6(kernel: Kernel, netnsPath: string, ifName: string): void {
  const name = (device: string): string => deviceSysctl(6, device, 'disable_ipv6')
  if (kernel.sysctl(name(ifName), netnsPath) !== '1') return
  for (const device of ['all', 'default', ifName]) kernel.setSysctl(name(device), '0', netnsPath)
}

/**
 * Strict reverse-path filtering would drop what reaches the host side by another way than its own route leads back:
 * replies of flows that entered the pod through another device. Loose (2) wins over a strict `all`, since the kernel
 * takes the larger of the two (ip-sysctl, rp_filter).
 */
export function loosenReversePath(kernel: Kernel, device: string): void {
  const own = deviceSysctl(4, device, 'rp_filter')
  const strict = [deviceSysctl(4, 'all', 'rp_filter'), own].some(name => kernel.sysctl(name) === '1')
  if (strict) kernel.setSysctl(own, '2')
}
