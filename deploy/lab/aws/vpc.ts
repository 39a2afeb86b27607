/**
 * The lab's network on AWS: a VPC of two zones, each with a subnet of its machines' first interfaces and one, by a tag, of
 * those that are made for pods. Everything follows from the lab's name and size. Pure.
 */
import type { Address, Prefix } from '../../../daemon/kernel/kernel.ts'
import { formatAddress, parsePrefix, prefixContains } from '../../../daemon/kernel/ip.ts'
import { type Host, type LabLayout, type NodeLayout, place, type Place } from '../layout.ts'

export const VPC = { id: 'vpc-1', cidr: '10.72.0.0/16', group: 'sg-1' } as const
/** What EC2 calls the machines' type: two interfaces with four addresses each, one of which is the interface's own. */
export const MACHINE_TYPE = 'lab.small'
export const POD_SUBNETS: Readonly<Record<string, string>> = { 'causeway.dev/pods': 'yes' }

export interface Subnet {
  readonly id: string
  readonly zone: string
  readonly cidr: Prefix
  readonly tags: Readonly<Record<string, string>>
}

export const SUBNETS: readonly Subnet[] = ['eu-west-1a', 'eu-west-1b'].flatMap((zone, n): Subnet[] => [
  { id: `subnet-nodes-${zone.at(-1)}`, zone, cidr: `10.72.${n + 1}.0/24`, tags: {} },
  { id: `subnet-pods-${zone.at(-1)}`, zone, cidr: `10.72.${n + 11}.0/24`, tags: POD_SUBNETS },
])

/** A machine as EC2 has it, by the node that it is. */
export interface Machine {
  readonly id: string
  readonly node: string
  readonly netns: string
  readonly zone: string
  readonly subnet: string
  /** Of its first interface. */
  readonly address: Address
}

/** The namespace that is the VPC: its router, with a port for each interface of a machine. */
export function vpcOf({ name }: LabLayout): Place {
  return place(name, 'vpc')
}
/** Where the VPC ends and the network of the host outside begins. */
export const BORDER: Host['addresses'] = ['172.30.0.254/24']
/** The device of the VPC that leads there. */
export const BORDER_DEVICE = 'eth0'

/** Of a node counted from 1, in the zones in turn. */
export function machineOf(node: Pick<NodeLayout, 'name' | 'netns'>): Machine {
  const index = Number(node.name.replace(/\D/g, ''))
  const [first = SUBNETS[0], second = SUBNETS[0]] = SUBNETS.filter(({ tags }) => Object.keys(tags).length === 0)
  const subnet = index % 2 === 1 ? first : second
  if (subnet === undefined) throw new Error('the VPC has no subnet of machines')
  const address = hostIn(subnet.cidr, 10 + index)
  const id = `i-${index.toString(16).padStart(17, '0')}`
  return { id, node: node.name, netns: node.netns, zone: subnet.zone, subnet: subnet.id, address }
}

/** The node with the address that its machine has in the VPC. */
export function inVpc(node: NodeLayout): NodeLayout {
  const { address, subnet } = machineOf(node)
  return { ...node, addresses: [`${address}/${lengthOf(subnet)}`] }
}

/** Whether an address is of an interface that was made for pods. */
export function isOfPodSubnet(address: Address): boolean {
  const subnet = SUBNETS.find(({ cidr }) => prefixContains(cidr, address))
  return subnet !== undefined && Object.keys(subnet.tags).length > 0
}

/** The router of a subnet: its first address after its own. */
export function gatewayOf(cidr: Prefix): Address {
  return hostIn(cidr, 1)
}

export function subnetOf(id: string): Subnet {
  const found = SUBNETS.find(subnet => subnet.id === id)
  if (found === undefined) throw new Error(`no subnet ${id}`)
  return found
}

function lengthOf(subnet: string): number {
  return parsePrefix(subnetOf(subnet).cidr).length
}

function hostIn(cidr: Prefix, number: number): Address {
  const { family, value } = parsePrefix(cidr)
  return formatAddress({ family, value: value + BigInt(number) })
}
