/** A node as the daemon sees it: what Kubernetes knows of it, what the operator assigned, and what its daemon says. */
import { canonicalAddress, canonicalPrefix } from '../kernel/ip.ts'
import type { Address, Prefix } from '../kernel/kernel.ts'
import type { Cloud, NodeRow } from '../state/tables.ts'
import type { ObjectField } from './object-field.ts'
import { objectName } from './object-name.ts'
import { networkName, type NodePlace } from './parse-node-place.ts'

/** A Node alone. */
export type NodeObject = NodeRow & NodePlace

/** What a NodeNetwork (causeway.dev/v1alpha1) adds to the Node of its name. */
export interface NodeNetwork {
  readonly name: string
  /** Assigned by the operator; those of the Node count when there are none. */
  readonly podCidrs: readonly Prefix[]
  /** What the node's daemon has found out and is configured to; absent before it has said so. */
  readonly cloud?: Cloud | 'none'
  readonly nativeNetwork?: string
  readonly podAddresses?: readonly Address[]
  /** What its pods have of the cloud's addresses, or may have. */
  readonly cloudBlocks?: readonly Prefix[]
  /** Where its machine's network interfaces are. */
  readonly cloudSubnets?: readonly Prefix[]
}

/** More than one node's daemon publishes. */
export const MOST_POD_ADDRESSES = 256
const CLOUDS = ['aws', 'azure', 'gcp', 'none'] as const

/** What the operator has assigned, whatever the daemon says. */
export function parseAssigned(object: ObjectField): Pick<NodeNetwork, 'name' | 'podCidrs'> {
  const cidrs = object.at('spec').at('podCidrs').items()
  return { name: objectName(object), podCidrs: [...new Set(cidrs.map(field => field.converted(canonicalPrefix)))] }
}

export function parseNodeNetwork(object: ObjectField): NodeNetwork {
  const status = object.at('status')
  const cloud = CLOUDS.find(name => name === status.at('cloud').value)
  const network = status.at('nativeNetwork')
  const blocks = object.at('spec').at('cloud').at('blocks').items().filter(stands)
  const nics = object.at('spec').at('cloud').at('nics').items()
  const subnets = nics.flatMap(nic =>
    nic
      .at('subnetCidrs')
      .items()
      .map(cidr => cidr.converted(canonicalPrefix)),
  )
  const addresses = status.at('podAddresses').items().slice(0, MOST_POD_ADDRESSES)
  return {
    ...parseAssigned(object),
    ...(cloud !== undefined && { cloud }),
    ...(!network.absent && { nativeNetwork: network.converted(networkName) }),
    ...(blocks.length > 0 && { cloudBlocks: blocks.map(item => item.at('block').converted(canonicalPrefix)) }),
    ...(subnets.length > 0 && { cloudSubnets: [...new Set(subnets)].sort() }),
    ...(addresses.length > 0 && { podAddresses: [...new Set(addresses.map(a => a.converted(canonicalAddress)))] }),
  }
}

/** Of a block that the cloud was asked to take back no pod has an address. */
function stands(block: ObjectField): boolean {
  return !['releasing', 'released'].includes(block.at('phase').text() ?? '')
}

/**
 * The row of a Node with what its NodeNetwork adds. Its native network is what a label or annotation says, else what its
 * daemon is configured to, else that of the cloud, as long as that knows the addresses of all its pods.
 */
export function joinNode({ namedNetwork, cloudNetwork, ...node }: NodeObject, network?: NodeNetwork): NodeRow {
  const assigned = network?.podCidrs ?? []
  const podCidrs = assigned.length === 0 ? node.podCidrs : assigned
  const cloud = network?.cloud ?? node.provider
  const { podAddresses } = network ?? {}
  const known = podAddresses === undefined && podCidrs.every(range => node.podCidrs.includes(range))
  const routed = known && cloud !== 'none'
  const nativeNetwork = namedNetwork ?? network?.nativeNetwork ?? (routed ? cloudNetwork : undefined)
  return {
    ...node,
    podCidrs,
    ...(cloud !== undefined && { cloud }),
    ...(nativeNetwork && { nativeNetwork }),
    ...(podAddresses !== undefined && { podAddresses }),
    ...(network?.cloudBlocks !== undefined && { cloudBlocks: network.cloudBlocks }),
    ...(network?.cloudSubnets !== undefined && { cloudSubnets: network.cloudSubnets }),
  }
}
