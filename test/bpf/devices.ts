/** Devices and routes of the node under test: what `bpf_fib_lookup` and a packet's destination MAC are judged by. */
import { hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Net, NetRequest } from '../../daemon/kernel/kernel.ts'
import { writeSysctl } from '../../daemon/kernel/sysctl.ts'
import {
  A,
  B,
  FAMILIES,
  HOST,
  NATIVE_NODE,
  NIC,
  NIC_MAC,
  NIC_ROUTER,
  OVERLAY_MAC,
  type PodFacts,
  ROUTER,
  TUNNEL_END,
  UPLINK_MAC,
} from './world.ts'

/** Interface indices. */
export interface Devices {
  readonly a: number
  readonly b: number
  readonly uplink: number
  readonly overlay: number
  /** Another network interface, which no route leads by. */
  readonly nic: number
}

/** Makes everything in an empty namespace. */
export function makeDevices(net: Net, netnsPath: string): Devices {
  for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) writeSysctl(name, '1', netnsPath)
  // No address is in doubt here, and duplicate detection takes a second.
  writeSysctl('net.ipv6.conf.default.accept_dad', '0', netnsPath)
  net.run([
    { op: 'link-set', link: 'lo', up: true },
    ...podLinks('a', A),
    ...podLinks('b', B),
    ...pair('up', UPLINK_MAC),
    {
      op: 'link-add',
      link: { kind: 'vxlan', external: true, port: 4789, name: 'overlay', mac: OVERLAY_MAC, up: true },
    },
    { op: 'address-add', link: 'up', address: `${HOST[4]}/24` },
    { op: 'address-add', link: 'up', address: `${HOST[6]}/64`, noDad: true },
    // The node asks for its neighbours from here: what it sends for pods bears no address of its own.
    { op: 'address-add', link: 'up', address: 'fe80::7/64', noDad: true },
    ...pair('nic', NIC_MAC),
    ...FAMILIES.map(f => ({ op: 'address-add', link: 'nic', address: hostPrefix(NIC[f]), noDad: true }) as const),
    ...neighbours(),
    ...routes(),
  ])
  const index = (name: string): number => net.link(name)?.index ?? 0
  return { a: index('a'), b: index('b'), uplink: index('up'), overlay: index('overlay'), nic: index('nic') }
}

function pair(name: string, mac: string): NetRequest[] {
  return [
    { op: 'link-add', link: { kind: 'veth', name, mac, addrGenMode: 'none', peer: { name: `${name}-peer` } } },
    { op: 'link-set', link: `${name}-peer`, up: true },
    { op: 'link-set', link: name, up: true },
  ]
}

function podLinks(name: string, pod: PodFacts): NetRequest[] {
  return pair(name, pod.hostMac)
}

function neighbours(): NetRequest[] {
  const known = [
    ['up', ROUTER],
    ['up', TUNNEL_END],
    ['nic', NIC_ROUTER],
  ] as const
  return known.flatMap(([link, node]) =>
    FAMILIES.map(f => ({ op: 'neighbour-add', link, address: node[f], mac: node.mac }) as const),
  )
}

function routes(): NetRequest[] {
  const via = (dst: string, gateway: string): NetRequest => ({ op: 'route-add', route: { dst, via: gateway } })
  const refuse = (dst: string, type: 'unreachable' | 'blackhole'): NetRequest => ({
    op: 'route-add',
    route: { dst, type },
  })
  return [
    via('0.0.0.0/0', ROUTER[4]),
    via('::/0', ROUTER[6]),
    via('10.30.0.0/24', NATIVE_NODE[4]),
    via('fd00:30::/64', NATIVE_NODE[6]),
    refuse('10.99.0.0/24', 'unreachable'),
    refuse('fd00:99::/64', 'unreachable'),
    refuse('10.98.0.0/24', 'blackhole'),
    refuse('fd00:98::/64', 'blackhole'),
  ]
}
