/** What the operator knows of the cluster: rows of the objects that it acts on. */
import type { LabelSelector } from '../state/egress-rows.ts'
import type { Prefix } from '../kernel/kernel.ts'
import { Table } from '../state/table.ts'

export interface ClusterNodeRow {
  readonly name: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  /** Of Node.spec: given by somebody else. */
  readonly podCidrs: readonly Prefix[]
  /** It bears the taint `causeway.dev/not-ready`. */
  readonly tainted: boolean
  /** Of its condition NetworkUnavailable; empty when it has none. */
  readonly networkUnavailable: string
  /** Of the kernel that its kubelet spoke of last; empty when it is not known. */
  readonly bootId: string
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

export interface IpPoolRow {
  readonly name: string
  readonly uid: string
  readonly generation: number
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

export interface NetworkPolicyName {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export interface OperatorTables {
  readonly nodes: Table<ClusterNodeRow>
  readonly networks: Table<NodeNetworkRow>
  readonly pools: Table<IpPoolRow>
  readonly policies: Table<NetworkPolicyName>
}

export function createOperatorTables(): OperatorTables {
  return {
    nodes: new Table('nodes', row => row.name),
    networks: new Table('nodeNetworks', row => row.name),
    pools: new Table('ipPools', row => row.name),
    policies: new Table('networkPolicies', row => `${row.namespace}/${row.name}`),
  }
}
