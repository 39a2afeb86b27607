/** What this node does as a gateway: which policies it is one of, and which addresses stand for the pods. Pure. */
import { familyIn } from '../../daemon/kernel/ip.ts'
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import type { Problem } from '../../daemon/plugin.ts'
import {
  type EgressGateway,
  type EgressPathRow,
  type EgressPolicyRow,
  policyDevice,
  policySource,
} from '../../daemon/state/egress-rows.ts'
import type { EgressRow, HostAddressRow, NodeRow, UplinkRow } from '../../daemon/state/tables.ts'
import { selects } from '../../daemon/state/selectors.ts'

export interface OwnInput {
  readonly self: string
  readonly policies: readonly EgressPolicyRow[]
  readonly nodes: readonly NodeRow[]
  readonly hostAddresses: readonly HostAddressRow[]
  readonly uplinks: readonly UplinkRow[]
}
export interface OwnPlan {
  readonly paths: readonly EgressPathRow[]
  readonly egress: readonly EgressRow[]
  readonly problems: readonly Problem[]
}

const FAMILIES: readonly Family[] = [4, 6]
/** More than the programs take in a family (bpf/lib/shared.h, egress_size) are left out. */
const MOST = 16

export function planOwn(input: OwnInput): OwnPlan {
  const own = input.nodes.find(node => node.name === input.self)
  const parts = input.policies.flatMap(policy => {
    const index = policy.gateways.findIndex(gateway => own !== undefined && selects(gateway.nodes, own.labels))
    const gateway = policy.gateways[index]
    return own === undefined || gateway === undefined ? [] : [planPolicy(policy, index, gateway, own, input)]
  })
  return {
    paths: parts.flatMap(({ paths }) => paths),
    egress: parts.flatMap(({ egress }) => egress),
    problems: parts.flatMap(({ problems }) => problems),
  }
}

function planPolicy(
  { name, destinations }: EgressPolicyRow,
  index: number,
  gateway: EgressGateway,
  own: NodeRow,
  input: OwnInput,
): OwnPlan {
  const device = policySource(name)
  const needed = FAMILIES.filter(family => destinations.some(destination => familyIn(destination) === family))
  const of = (family: Family): Address[] => addressesOf(gateway, family, own, input).slice(0, MOST)
  const egress = needed
    .map(family => ({ device, index: policyDevice(name), family, addresses: of(family) }))
    .filter(({ addresses }) => addresses.length > 0)
  const served = egress.map(({ family }) => family)
  const lacking = needed.filter(family => !served.includes(family))
  const paths = destinations.map(destination => ({
    destination,
    policy: name,
    to: served.includes(familyIn(destination)) ? ({ kind: 'here' } as const) : ({ kind: 'none' } as const),
  }))
  return {
    paths: [{ source: device, paths }],
    egress,
    problems: lacking.map(family => lackOf(name, index, gateway, family, input)),
  }
}

/** Those that were chosen, as far as this node has them; else the one that it is known by, or one of an uplink. */
function addressesOf(
  { addresses, device }: EgressGateway,
  family: Family,
  own: NodeRow,
  { hostAddresses, uplinks }: OwnInput,
): Address[] {
  const held = hostAddresses.filter(row => row.scope === 'global' && familyIn(row.address) === family)
  if (addresses.length > 0) return addresses.filter(address => held.some(row => row.address === address))
  if (device !== undefined)
    return held
      .filter(row => row.device === device)
      .map(row => row.address)
      .slice(0, 1)
  const known = held.filter(row => own.addresses.includes(row.address))
  const onUplinks = held.filter(row => uplinks.some(uplink => uplink.name === row.device))
  return [...known, ...onUplinks].map(row => row.address).slice(0, 1)
}

/** Refused: an address that no device of the node has would be answered to somebody else. */
function lackOf(
  policy: string,
  index: number,
  { addresses, device }: EgressGateway,
  family: Family,
  { self, hostAddresses }: OwnInput,
): Problem {
  const held = hostAddresses
    .filter(row => row.scope === 'global' && familyIn(row.address) === family)
    .map(row => `${row.address} (${row.device})`)
  const there = held.length === 0 ? `it has no IPv${family} address` : `those that are: ${held.join(', ')}`
  const wanted = addresses.filter(address => familyIn(address) === family)
  const what =
    device !== undefined
      ? `device: ${device} has no IPv${family} address on ${self}`
      : wanted.length > 0
        ? `addresses: ${wanted.join(', ')} is on no device of ${self}`
        : addresses.length > 0
          ? `addresses: none is IPv${family}, as destinations are`
          : `no address of ${self} is IPv${family}, as destinations are`
  return { place: `EgressPolicy ${policy}`, message: `spec.gateways[${index}].${what}; ${there}` }
}
