/** What the operator knows of the cluster: rows of the objects that it acts on. */
import type { ApiResource } from '../cluster/kubernetes/resources.ts'
import type { UnusableObject } from '../cluster/kubernetes/row-sink.ts'
import type { NodeSettingsRow } from '../cluster/node-settings.ts'
import type { Address, Prefix } from '../kernel/kernel.ts'
import type { EgressPolicyRow, LabelSelector, NamespaceRow } from '../state/egress-rows.ts'
import { Table } from '../state/table.ts'
import type { CloudPart } from './cloud/cloud-network.ts'

export interface ClusterNodeRow {
  readonly name: string
  readonly uid: string
  /** RFC 3339. */
  readonly created: string
  readonly labels: Readonly<Record<string, string>>
  /** Its own, inside and outside. */
  readonly addresses: readonly Address[]
  /** Its kubelet says so. */
  readonly notReady: boolean
  /** Of Node.spec: given by somebody else. */
  readonly podCidrs: readonly Prefix[]
  /** It bears the taint `causeway.dev/not-ready`. */
  readonly tainted: boolean
  /** Of its condition NetworkUnavailable; empty when it has none. */
  readonly networkUnavailable: string
  /** Of the kernel that its kubelet spoke of last; empty when it is not known. */
  readonly bootId: string
  /** What names its machine (Node.spec.providerID); empty when nothing does. */
  readonly providerId: string
  /** Pods that its kubelet takes. */
  readonly maxPods: number
  /** Of Node.status.capacity, as it is written there: addresses of a cloud that the scheduler counts; empty when absent. */
  readonly addressCapacity: string
  /** It bears the taint `causeway.dev/no-addresses`. */
  readonly withoutAddresses: boolean
}

/** A NodeNetwork as the operator sees it. */
export interface NodeNetworkRow {
  readonly name: string
  readonly uid: string
  /** RFC 3339. */
  readonly created: string
  /** Of the Node that owns it; empty when none does. */
  readonly nodeUid: string
  readonly podCidrs: readonly Prefix[]
  /** Name of the IPPool that they are from; empty when there are none. */
  readonly pool: string
  /** What the daemon of the node said last: of its condition Ready, and in which life of its kernel. */
  readonly ready: boolean
  readonly bootId: string
}

/** What a NodeNetwork says of addresses from the cloud, which changes much more often than the rest of it. */
export interface CloudNetworkRow {
  readonly name: string
  readonly uid: string
  /** A text for people when it cannot be read. */
  readonly cloud: CloudPart | string
}

export interface IpPoolRow extends OwnObject {
  /** RFC 3339. */
  readonly created: string
  /** Of pools that select the same node the highest counts, then the oldest, then the first by name. */
  readonly priority: number
  readonly nodes: LabelSelector
  readonly ranges: readonly PoolRange[]
}

/** A range of a pool, handed out in ranges of one length. */
export interface PoolRange {
  readonly cidr: Prefix
  readonly nodePrefixLength: number
}

/** An object of an own kind, as far as all of them are alike. */
export interface OwnObject {
  readonly name: string
  readonly uid: string
  /** Of its spec. */
  readonly generation: number
}

export type SettingsRow = NodeSettingsRow & OwnObject

export type PolicyRow = EgressPolicyRow & OwnObject

/** What a service is spoken to at, apart from addresses of nodes. */
export interface ServiceAddressesRow {
  readonly namespace: string
  readonly name: string
  readonly addresses: readonly Address[]
}

/** A range that services get their addresses from (ServiceCIDR, networking.k8s.io/v1). */
export interface ServiceRangeRow {
  readonly name: string
  readonly cidrs: readonly Prefix[]
}

/** A subnet of the cloud that nodes' interfaces are or may be in: any of its addresses may be given to one. */
export interface CloudSubnetRow {
  readonly id: string
  readonly cidrs: readonly Prefix[]
}

/** An object of an own kind that cannot be read, and what is wrong. */
export interface UnusableRow extends UnusableObject {
  readonly resource: ApiResource
}

export interface NetworkPolicyName {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export interface OperatorTables {
  readonly nodes: Table<ClusterNodeRow>
  readonly networks: Table<NodeNetworkRow>
  readonly cloudNetworks: Table<CloudNetworkRow>
  readonly pools: Table<IpPoolRow>
  readonly settings: Table<SettingsRow>
  readonly egressPolicies: Table<PolicyRow>
  readonly namespaces: Table<NamespaceRow>
  readonly services: Table<ServiceAddressesRow>
  readonly serviceRanges: Table<ServiceRangeRow>
  readonly cloudSubnets: Table<CloudSubnetRow>
  readonly unusable: Table<UnusableRow>
  readonly policies: Table<NetworkPolicyName>
}

export function createOperatorTables(): OperatorTables {
  return {
    nodes: new Table('nodes', row => row.name),
    networks: new Table('nodeNetworks', row => row.name),
    cloudNetworks: new Table('cloudNetworks', row => row.name),
    pools: new Table('ipPools', row => row.name),
    settings: new Table('nodeSettings', row => row.name),
    egressPolicies: new Table('egressPolicies', row => row.name),
    namespaces: new Table('namespaces', row => row.name),
    services: new Table('services', row => `${row.namespace}/${row.name}`),
    serviceRanges: new Table('serviceRanges', row => row.name),
    cloudSubnets: new Table('cloudSubnets', row => row.id),
    unusable: new Table('unusableObjects', row => `${row.resource.kind} ${row.name}`),
    policies: new Table('networkPolicies', row => `${row.namespace}/${row.name}`),
  }
}
