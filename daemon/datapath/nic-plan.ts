/** What is to be done with the devices of network interfaces whose addresses pods have. Pure. */
import { covers, familyIn, formatAddress, hostPrefix, networkOf, parsePrefix, prefixContains } from '../kernel/ip.ts'
import {
  type Address,
  type AddressInfo,
  CAUSEWAY_PROTOCOL,
  type Family,
  type LinkInfo,
  type NetRequest,
  type Prefix,
  type RouteInfo,
} from '../kernel/kernel.ts'
import { deviceSysctl } from '../kernel/sysctl-name.ts'
import type { CloudNicRow } from '../state/cloud-rows.ts'
import { isOwnDevice } from './own-device.ts'
import { isPodDevice } from './pod-device.ts'
import type { Sysctl } from './sysctls.ts'

/** What lies on another device and has its MAC. */
const STACKED: readonly string[] = ['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap', 'bridge', 'vxlan']
const MAIN_TABLE = 254

/** The device of a NIC: of several with its MAC, as a virtual function and what it belongs to have, the one that others are not below. */
export function deviceOf({ mac }: Pick<CloudNicRow, 'mac'>, links: readonly LinkInfo[]): LinkInfo | undefined {
  const wanted = mac.toLowerCase()
  return links
    .filter(l => l.mac === wanted && l.master === 0 && !l.loopback && !STACKED.includes(l.kind))
    .filter(l => !isOwnDevice(l.name) && !isPodDevice(l.name))
    .toSorted((a, b) => a.index - b.index)[0]
}

/** Routers of a NIC's subnet, of each family at most one: what a cloud puts there has the first address behind the subnet's own. */
export function gatewaysOf({ gateways, subnetCidrs }: CloudNicRow): Address[] {
  const first = subnetCidrs.map(cidr => {
    const { family, value } = networkOf(parsePrefix(cidr))
    return formatAddress({ family, value: value + 1n })
  })
  return ([4, 6] as const).flatMap(family => {
    const own = [...(gateways ?? []), ...first].find(address => familyIn(address) === family)
    return own ?? []
  })
}

export interface NicInput {
  readonly nic: CloudNicRow
  readonly device: LinkInfo
  /** Of all devices. */
  readonly addresses: readonly AddressInfo[]
  readonly routes: readonly RouteInfo[]
  readonly mtu: number
  /** That pods have. */
  readonly families: readonly Family[]
}

export interface NicPlan {
  /** Before the requests: what a device hears in its first moment counts too. */
  readonly sysctls: readonly Sysctl[]
  readonly requests: readonly NetRequest[]
}

/**
 * What differs. The first NIC is the host's, which has configured it. The others have their own addresses and nothing
 * else: a route to their subnet would lead packets of others by them, which the cloud's network drops.
 */
export function planNic(input: NicInput): NicPlan {
  const { nic, device, mtu, families } = input
  const loose: Sysctl = {
    name: deviceSysctl(4, device.name, 'rp_filter'),
    value: '2',
    why: 'the routes back to who sends lead by another interface',
  }
  if (nic.index === 0) return { sysctls: [loose], requests: [] }
  const deaf: Sysctl = {
    name: deviceSysctl(6, device.name, 'accept_ra'),
    value: '0',
    why: 'routes by this interface would lead packets of others by it',
  }
  const set = {
    ...(device.mtu === mtu ? {} : { mtu }),
    ...(device.up ? {} : { up: true }),
  }
  return {
    sysctls: [loose, ...(families.includes(6) ? [deaf] : [])],
    requests: [
      ...(Object.keys(set).length === 0 ? [] : [{ op: 'link-set', link: device.index, ...set } as const]),
      ...planAddresses(input),
      ...planRoutes(input),
    ],
  }
}

function planAddresses({ nic, device, addresses, families }: NicInput): NetRequest[] {
  const link = device.index
  const wanted = nic.addresses.filter(address => families.includes(familyIn(address))).map(hostPrefix)
  const have = addresses
    .filter(a => a.link === link && !(a.family === 6 && a.scope === 'link'))
    .map(a => `${a.address}/${a.prefixLength}`)
  return [
    ...without(have, wanted).map((address): NetRequest => ({ op: 'address-delete', link, address })),
    ...without(wanted, have).map((address): NetRequest => ({ op: 'address-add', link, address, noDad: true })),
  ]
}

/** What the host's stack would send by the device without being asked to. */
function planRoutes({ nic, device, routes }: NicInput): NetRequest[] {
  const own = nic.addresses.map(hostPrefix)
  return routes
    .filter(r => r.link === device.index && r.table === MAIN_TABLE && (r.type ?? 'unicast') === 'unicast')
    .filter(r => r.protocol !== CAUSEWAY_PROTOCOL && !own.includes(r.dst) && !isLinkLocal(r.dst))
    .map(route => ({ op: 'route-delete', route }))
}

function isLinkLocal(prefix: Prefix): boolean {
  return covers(parsePrefix('fe80::/10'), parsePrefix(prefix))
}

function without(from: readonly Prefix[], those: readonly Prefix[]): Prefix[] {
  return from.filter(prefix => !those.includes(prefix))
}

/** Whether an address is one of a NIC's own, or of its blocks. */
export function nicHas({ addresses, blocks }: Pick<CloudNicRow, 'addresses' | 'blocks'>, address: Address): boolean {
  return addresses.includes(address) || blocks.some(block => prefixContains(block, address))
}
