/**
 * A pod's interface as the daemon remembers it: the record that is journalled, and the row, result and id made from it.
 */
import type { Family, NetnsId } from '../kernel/kernel.ts'
import type { Lease, PodRef } from '../plugin.ts'
import type { PortMapping } from '../state/service-rows.ts'
import type { EndpointRow } from '../state/tables.ts'
import type { AttachmentId } from './key.ts'

/** Everything needed to answer, check, repair and remove an attachment; written to the journal as JSON. */
export interface Attachment {
  readonly key: string
  /** Shown in flow records; unique among the node's attachments. */
  readonly id: number
  readonly pod: PodRef
  readonly leases: readonly Lease[]
  /** Host side. The index tells this device from a later one of the same name. */
  readonly device: { readonly name: string; readonly index: number; readonly mac: string }
  /** The pod's own side. */
  readonly interface: { readonly name: string; readonly mac: string; readonly mtu: number }
  readonly routeMtu: number
  /** The MTUs are no longer those that ADD answered. */
  readonly replanned?: true
  readonly netns: NetnsId & { readonly path: string }
  /** When ADD made it, µs since 1970; a queued DEL that is older is void. */
  readonly time: number
  readonly portMappings?: readonly PortMapping[]
}

/** Gateways of every pod; `pod_out` answers for them, no address of a pool is spent. */
export const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::1' } as const

/** `address/32` or `/128`. */
export function hostPrefix(lease: Pick<Lease, 'family' | 'address'>): string {
  return `${lease.address}/${lease.family === 4 ? 32 : 128}`
}

export function defaultRoute(family: Family): string {
  return family === 4 ? '0.0.0.0/0' : '::/0'
}

/** The three parts of a key; `attachmentKey` put it together, so that it has them. */
export function idOf(key: string): AttachmentId {
  const [network = '', containerId = '', ifName = ''] = key.split('/')
  return { network, containerId, ifName }
}

export function rowOf(attachment: Attachment): EndpointRow {
  const { key, id, pod, leases, device, netns, portMappings = [] } = attachment
  const pool = leases[0]?.pool ?? ''
  const addresses = leases.map(lease => lease.address)
  const ports = portMappings.length === 0 ? {} : { portMappings }
  return { key, id, pod, addresses, pool, device, interface: attachment.interface, netns, ...ports }
}

/** A CNI result in the form of 1.1.0, without `cniVersion` (CNI spec 1.1.0, "Add Success"). */
export interface CniResult {
  readonly interfaces: readonly {
    readonly name: string
    readonly mac: string
    readonly mtu: number
    readonly sandbox?: string
  }[]
  readonly ips: readonly { readonly address: string; readonly gateway: string; readonly interface: number }[]
  readonly routes: readonly { readonly dst: string; readonly gw: string; readonly mtu: number }[]
  readonly dns: object
}

/** Interface 0 is the host side, interface 1 the pod's. */
export function resultOf(attachment: Attachment): CniResult {
  const { device, leases, netns, routeMtu } = attachment
  const { name, mac, mtu } = attachment.interface
  return {
    interfaces: [
      { name: device.name, mac: device.mac, mtu },
      { name, mac, mtu, sandbox: netns.path },
    ],
    ips: leases.map(lease => ({ address: hostPrefix(lease), gateway: GATEWAY[lease.family], interface: 1 })),
    routes: leases.map(lease => ({ dst: defaultRoute(lease.family), gw: GATEWAY[lease.family], mtu: routeMtu })),
    dns: {},
  }
}
