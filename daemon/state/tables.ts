/**
 * All tables and their rows on one screen. Sources and CNI requests write rows; reconcilers carry them into the kernel.
 *
 *   nodes, pods      from the cluster source      (cluster/)
 *   services,
 *   endpointSlices,
 *   namespaces,
 *   networkPolicies,
 *   egressPolicies
 *   cloudMachines,   from this node's NodeNetwork (cluster/)
 *   cloudNics,
 *   cloudBlocks
 *   cloudReports     from a plugin of cloud       (plugins/)    → status of this node's NodeNetwork
 *                    addresses
 *   hostAddresses,   from the kernel              (datapath/node-devices.ts)
 *   uplinks
 *   cloudDevices     from cloudNics, the kernel   (datapath/)   → eBPF map `nic_ways`, devices, rules
 *   formerPods       from pods, endpoints         (datapath/)   → eBPF map `endpoints`
 *   endpoints        from CNI requests            (endpoint/)   → eBPF map `endpoints`
 *   routes           planned from nodes, uplinks  (datapath/)   → kernel routes
 *   ipcache          planned from nodes, pods     (datapath/)   → eBPF map `ipcache`
 *   frontends        planned from services,       (service/)    → eBPF maps `services`, `service_slots`, `backends`
 *                    slices, hostAddresses,
 *                    endpoints, backendLoads
 *   backendLoads     counted in conntrack         (datapath/)
 *   egress,          from plugins                 (plugins/)    → eBPF maps `egress_addresses`, `native_ranges`,
 *   nativeRanges,                                                 `nat64_prefixes`
 *   nat64Prefixes,
 *   egressPaths                                                → eBPF map `egress_paths`
 */
import { joined } from '../kernel/joined.ts'
import type { Address, Family, NetnsId, Prefix, Route, RouteScope } from '../kernel/kernel.ts'
import type { PodRef } from '../plugin.ts'
import type { CloudBlockRow, CloudDeviceRow, CloudMachineRow, CloudNicRow, CloudReportRow } from './cloud-rows.ts'
import type { EgressPathRow, EgressPolicyRow, NamespaceRow } from './egress-rows.ts'
import type { BackendLoadRow, EndpointSliceRow, FrontendRow, PortMapping, ServiceRow } from './service-rows.ts'
import { Table } from './table.ts'

export interface NodeRow {
  readonly name: string
  /** Internal addresses, at most one of each family. */
  readonly addresses: readonly Address[]
  /** Those by which it is known outside the cluster; absent when there are none. */
  readonly externalAddresses?: readonly Address[]
  readonly podCidrs: readonly Prefix[]
  readonly labels: Readonly<Record<string, string>>
  /** What the cluster knows of its kubelet; absent while nothing is wrong. */
  readonly notReady?: true
  /** What Node.spec.providerID says; absent when it tells nothing of the machine. */
  readonly provider?: Cloud | 'none'
  /** Whose network its links are, by its daemon or else its provider; absent when neither has said. */
  readonly cloud?: Cloud | 'none'
  /** Nodes with the same one reach each other's pods without an overlay; absent when none is known. */
  readonly nativeNetwork?: string
  /** Blocks of its network interfaces that pods have addresses of, which its cloud routes; absent when there are none. */
  readonly cloudBlocks?: readonly Prefix[]
  /** Of the subnets that its machine's network interfaces are in, where pods have addresses of them; else absent. */
  readonly cloudSubnets?: readonly Prefix[]
  /** Addresses of its pods outside `podCidrs`, by its daemon; absent when there are none. */
  readonly podAddresses?: readonly Address[]
}

/** Clouds whose links carry only packets of addresses that they gave. */
export type Cloud = 'aws' | 'azure' | 'gcp'

export interface PodRow extends PodRef {
  readonly nodeName: string
  readonly addresses: readonly Address[]
  readonly hostNetwork: boolean
  readonly labels: Readonly<Record<string, string>>
  /** It has ended or is to be deleted; absent otherwise. */
  readonly ending?: true
  /** Whether it may have an address of the pool that stands in for the cloud's; absent: as its namespace says. */
  readonly fallbackPool?: boolean
}

/** A pod's interface on this node. Its key is `network/containerID/ifname`, by which addresses are compared. */
export interface EndpointRow {
  readonly key: string
  readonly id: number
  readonly pod: PodRef
  readonly addresses: readonly Address[]
  readonly pool: string
  readonly device: { readonly name: string; readonly index: number; readonly mac: string }
  readonly interface: { readonly name: string; readonly mac: string; readonly mtu: number }
  readonly netns: NetnsId & { readonly path: string }
  readonly portMappings?: readonly PortMapping[]
}

/** A route of this node in the kernel's tables; `owner` names the writer. */
export interface RouteRow extends Route {
  readonly owner: string
}

/** Where a prefix outside this node lives and how to reach it. */
export interface IpcacheRow {
  readonly prefix: Prefix
  readonly node: string
  /** An address of the node itself, not of its pods. */
  readonly host?: true
  /** Whatever the path: there pods are known whose addresses are of this machine's network interfaces, and go natively. */
  readonly cloud?: true
  readonly path: { readonly kind: 'native' } | { readonly kind: 'overlay'; readonly tunnel: Address }
  /** Why this way, for people: `same link`. */
  readonly why: string
}

/** An address of a pod of this node that another CNI attached: reached through the host's stack and its routes. */
export interface FormerPodRow {
  readonly address: Address
}

/** An address of this node itself. */
export interface HostAddressRow {
  readonly address: Address
  /** Of the network that the address is on. */
  readonly prefixLength: number
  readonly scope: RouteScope
  readonly device: string
}

export interface UplinkRow {
  readonly name: string
  readonly index: number
  readonly mtu: number
  readonly mac: string
}

/** The addresses of this node that pods' packets leave the cluster with by an uplink, or by a policy. */
export interface EgressRow {
  /** Its name, or `policy NAME`. */
  readonly device: string
  /** Interface index; of a policy EGRESS_DEVICES or more. */
  readonly index: number
  readonly family: Family
  /** At least one; a pod's flows have one in common while ports are left there. */
  readonly addresses: readonly Address[]
}

/** A range outside the cluster where pods' addresses are known: what goes there keeps them. */
export interface NativeRangeRow {
  readonly prefix: Prefix
  /** Who says so; several may say it of one range. */
  readonly owner: string
}

/** A NetworkPolicy (networking.k8s.io/v1), of which nothing more is used yet. */
export interface NetworkPolicyRow {
  readonly namespace: string
  readonly name: string
}

/** An IPv6 prefix whose addresses stand for IPv4 ones outside (RFC 6052): this node translates what pods send there. */
export interface Nat64PrefixRow {
  /** Of 96 bits. */
  readonly prefix: Prefix
}

export interface Tables {
  readonly nodes: Table<NodeRow>
  readonly pods: Table<PodRow>
  readonly services: Table<ServiceRow>
  readonly endpointSlices: Table<EndpointSliceRow>
  readonly endpoints: Table<EndpointRow>
  readonly routes: Table<RouteRow>
  readonly ipcache: Table<IpcacheRow>
  readonly frontends: Table<FrontendRow>
  readonly backendLoads: Table<BackendLoadRow>
  readonly cloudMachines: Table<CloudMachineRow>
  readonly cloudNics: Table<CloudNicRow>
  readonly cloudBlocks: Table<CloudBlockRow>
  readonly cloudReports: Table<CloudReportRow>
  readonly hostAddresses: Table<HostAddressRow>
  readonly uplinks: Table<UplinkRow>
  readonly cloudDevices: Table<CloudDeviceRow>
  readonly formerPods: Table<FormerPodRow>
  readonly egress: Table<EgressRow>
  readonly nativeRanges: Table<NativeRangeRow>
  readonly namespaces: Table<NamespaceRow>
  readonly networkPolicies: Table<NetworkPolicyRow>
  readonly egressPolicies: Table<EgressPolicyRow>
  readonly egressPaths: Table<EgressPathRow>
  readonly nat64Prefixes: Table<Nat64PrefixRow>
}

export function createTables(): Tables {
  return {
    nodes: new Table('nodes', r => r.name),
    pods: new Table<PodRow>('pods', objectKey),
    services: new Table<ServiceRow>('services', objectKey),
    endpointSlices: new Table<EndpointSliceRow>('endpointSlices', objectKey),
    endpoints: new Table('endpoints', r => r.key),
    routes: new Table<RouteRow>('routes', routeKey),
    ipcache: new Table('ipcache', r => r.prefix),
    frontends: new Table('frontends', r => r.key),
    backendLoads: new Table('backendLoads', r => r.key),
    cloudMachines: new Table('cloudMachines', r => r.provider),
    cloudNics: new Table('cloudNics', r => r.id),
    cloudBlocks: new Table('cloudBlocks', r => r.block),
    cloudReports: new Table('cloudReports', () => 'own'),
    hostAddresses: new Table('hostAddresses', r => r.address),
    uplinks: new Table('uplinks', r => r.name),
    cloudDevices: new Table('cloudDevices', r => r.id),
    formerPods: new Table('formerPods', r => r.address),
    egress: new Table('egress', r => `${r.device} IPv${r.family}`),
    nativeRanges: new Table('nativeRanges', r => `${r.prefix} ${r.owner}`),
    namespaces: new Table('namespaces', r => r.name),
    networkPolicies: new Table('networkPolicies', r => `${r.namespace}/${r.name}`),
    egressPolicies: new Table('egressPolicies', r => r.name),
    egressPaths: new Table('egressPaths', r => r.source),
    nat64Prefixes: new Table('nat64Prefixes', r => r.prefix),
  }
}

function objectKey({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return joined(namespace, '/', name)
}

/** What tells a route from others, the same for a row and for what the kernel says of it. */
export function routeKey({ dst, table, metric }: Route): string {
  // IPv6 gives a route without a metric this one (IP6_RT_PRIO_USER in ip6_fib.h).
  const byDefault = dst.includes(':') ? 1024 : 0
  return joined(table ?? 254, ' ', dst, ' ', metric === undefined || metric === 0 ? byDefault : metric)
}
