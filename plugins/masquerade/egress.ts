/** Which of the node's addresses pods' packets leave by each uplink with. Pure. */
import { familyIn } from '../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../daemon/kernel/kernel.ts'
import type { Problem } from '../../daemon/plugin.ts'
import type { ReadonlyTable } from '../../daemon/state/table.ts'
import type { CloudDeviceRow } from '../../daemon/state/cloud-rows.ts'
import type { EgressRow, HostAddressRow, NodeRow, UplinkRow } from '../../daemon/state/tables.ts'

export interface EgressInput {
  readonly uplinks: Iterable<UplinkRow>
  readonly hostAddresses: Iterable<HostAddressRow>
  readonly self: NodeRow | undefined
  /** Devices of network interfaces whose addresses pods have; none when absent. */
  readonly nics?: Iterable<CloudDeviceRow>
  /** Empty: of each uplink one. */
  readonly chosen: readonly Address[]
}

/** What the programs take of one device in a family (bpf/lib/shared.h, egress_size). */
export const MOST_ADDRESSES = 16

/**
 * The chosen addresses stand for pods on every uplink, wherever they are: a network may route them to the node. Without
 * a choice an uplink's packets bear the address that the node is known by, if it has that, else its first global one. Of
 * several network interfaces of a machine the first stands for all: a cloud knows the machine outside by its address.
 */
export function egressRows(input: EgressInput): EgressRow[] {
  const { uplinks, hostAddresses, self, chosen } = input
  const hosts = [...hostAddresses]
  const nics = [...(input.nics ?? [])]
  const first = nics.find(nic => nic.place === 0)?.name ?? hosts.find(h => self?.addresses.includes(h.address))?.device
  const standsFor = (device: string): string =>
    nics.some(nic => nic.name === device && nic.place > 0) ? (first ?? device) : device
  return [...uplinks].flatMap(({ name: device, index }) =>
    ([4, 6] as const).flatMap(family => {
      const own = hosts.filter(h => h.device === standsFor(device) && h.scope === 'global').map(h => h.address)
      const known = own.filter(address => self?.addresses.includes(address))
      const given =
        chosen.length > 0 ? chosen.filter(address => hosts.some(h => h.address === address)) : known.concat(own)
      const addresses = given.filter(address => familyIn(address) === family)
      const used = chosen.length > 0 ? addresses.slice(0, MOST_ADDRESSES) : addresses.slice(0, 1)
      return used.length > 0 ? [{ device, index, family, addresses: used }] : []
    }),
  )
}

/** What is wrong with the choice now, in words; nothing before the node's addresses are known. */
export function choiceProblems(
  chosen: readonly Address[],
  hostAddresses: ReadonlyTable<HostAddressRow>,
): readonly Problem[] {
  if (!hostAddresses.initialized) return []
  const there = allowedAddresses(hostAddresses.values())
  return chosen.flatMap((address, n) =>
    hostAddresses.get(address) === undefined
      ? [{ place: `masquerade.addresses.${n}`, message: `${absent(address, there)}; pods' flows do not leave with it` }]
      : [],
  )
}

/** Those of a node that may stand for pods. */
export function allowedAddresses(addresses: Iterable<Pick<HostAddressRow, 'address' | 'scope'>>): readonly Address[] {
  return [...addresses].filter(({ scope }) => scope === 'global').map(({ address }) => address)
}

/** An address that the node has on no device, with those that it has. */
export function absent(address: Address, allowed: readonly Address[]): string {
  const there = allowed.length > 0 ? allowed.join(', ') : 'none, for the node has no address'
  return `${address} is on no device of this node; allowed: ${there}`
}

/** Where the cloud's network knows pods' addresses: in the subnets that nodes of this cloud have network interfaces in. Pure. */
export function cloudRanges(nodes: Iterable<NodeRow>, cloud: NodeRow['cloud']): readonly Prefix[] {
  if (cloud === undefined || cloud === 'none') return []
  const of = [...nodes].filter(node => node.cloud === cloud).flatMap(({ cloudSubnets = [] }) => cloudSubnets)
  return [...new Set(of)].sort()
}
