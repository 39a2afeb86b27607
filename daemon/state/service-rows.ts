/** Rows of services: what the cluster source tells of them, and what this node makes of it. */
import type { Address, Prefix } from '../kernel/kernel.ts'

export type ServiceProtocol = 'TCP' | 'UDP' | 'SCTP'
/** Whether every backend serves, or only those of the node where the client's packet arrives. */
export type TrafficPolicy = 'Cluster' | 'Local'
/**
 * How a new flow finds its backend: by chance, by its addresses and ports (the same one on every node), or of two by chance
 * the one that this node has given fewer flows.
 */
export type Algorithm = 'random' | 'maglev' | 'least'

/** Whether a backend on another node answers by the node that its client asked, or past it. */
export type Forwarding = 'snat' | 'dsr'

/** Places that a Maglev table may have: primes, so that every stride visits all of them. */
export const TABLE_SIZES = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071] as const
export type TableSize = (typeof TABLE_SIZES)[number]

/** A Service (v1), as far as it is used here. */
export interface ServiceRow {
  readonly namespace: string
  readonly name: string
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  /** None of a headless service. */
  readonly clusterIPs: readonly Address[]
  readonly externalIPs: readonly Address[]
  /** Addresses of a load balancer that hands packets on as they are (ipMode VIP). */
  readonly loadBalancerIPs: readonly Address[]
  /** Who may use the load balancer's addresses; all when there are none. */
  readonly sourceRanges: readonly Prefix[]
  readonly ports: readonly ServicePort[]
  /** 0: clients have no affinity. */
  readonly affinitySeconds: number
  readonly externalTrafficPolicy: TrafficPolicy
  readonly internalTrafficPolicy: TrafficPolicy
  /** 0 when there is none. */
  readonly healthCheckNodePort: number
  readonly trafficDistribution?: 'PreferSameZone' | 'PreferSameNode'
  readonly publishNotReadyAddresses: boolean
  /** What the configuration says when undefined; so of table size and forwarding. */
  readonly algorithm?: Algorithm
  readonly tableSize?: TableSize
  readonly forwarding?: Forwarding
  /** Flows of this node that an endpoint near it is meant to have, at which others are used too. */
  readonly zoneCapacity?: number
  readonly annotations: Readonly<Record<string, string>>
}

export interface ServicePort {
  /** Empty when the service has one port only. */
  readonly name: string
  readonly protocol: ServiceProtocol
  readonly port: number
  /** 0 when there is none. */
  readonly nodePort: number
}

/** An EndpointSlice (discovery.k8s.io/v1) of a service. */
export interface EndpointSliceRow {
  readonly namespace: string
  readonly name: string
  /** Of the same namespace; empty when the slice belongs to none. */
  readonly service: string
  readonly ports: readonly { readonly name: string; readonly protocol: ServiceProtocol; readonly port: number }[]
  /** Share of new flows that each of its endpoints gets, relative to those of others; from 1. */
  readonly weight: number
  readonly endpoints: readonly SliceEndpoint[]
}

export interface SliceEndpoint {
  /** Of several the first counts (API reference, Endpoint.addresses). */
  readonly address: Address
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  /** Empty when it is not known; so are zone and hints. */
  readonly nodeName: string
  readonly zone: string
  readonly hintZones: readonly string[]
  readonly hintNodes: readonly string[]
}

/** A port of the node that leads to a pod (CNI conventions, portMappings). */
export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: ServiceProtocol
  /** Of the node's addresses the one that has it; absent or unspecified: all. */
  readonly hostIP?: Address
}

/** What a client on this node, or one whose packets arrive here, can speak to. */
export interface FrontendRow {
  /** `TCP 10.96.0.1:443 inside`. */
  readonly key: string
  readonly address: Address
  readonly port: number
  readonly protocol: ServiceProtocol
  /** `inside`: pods and processes of this node ask; `outside`: whatever arrives from elsewhere. */
  readonly scope: 'inside' | 'outside'
  readonly kind: 'cluster-ip' | 'external-ip' | 'load-balancer' | 'node-port' | 'host-port'
  /** The address belongs to services alone: nobody is at any other port of it. Never so of a node's own. */
  readonly exclusive: boolean
  /** Nobody serves here, but somebody does elsewhere: clients are told nothing, for another node may serve them. */
  readonly silent: boolean
  /** `namespace/name`; of a host port those of its pod. */
  readonly service: string
  readonly portName: string
  readonly affinitySeconds: number
  /** Only of load balancers' addresses, for who comes from outside; all when there are none. */
  readonly sourceRanges: readonly Prefix[]
  readonly algorithm: Algorithm
  /** Of the Maglev table, where there is need for one. */
  readonly tableSize: TableSize
  /** Always `snat` where no client elsewhere meets a backend elsewhere. */
  readonly forwarding: Forwarding
  /** Flows of its backends are counted. */
  readonly counted: boolean
  /** Those that new flows may be given to, in the order of address and port. */
  readonly backends: readonly BackendRow[]
  /** Pods of this node that other nodes may give flows to which they answer themselves; none unless by `dsr`. */
  readonly direct: readonly BackendRow[]
}

/** How many flows a backend has by this node's account. */
export interface BackendLoadRow {
  /** `TCP 10.1.0.1 8080`. */
  readonly key: string
  readonly flows: number
}

export interface BackendRow {
  readonly address: Address
  readonly port: number
  /** Empty when it is not known; so is the zone. */
  readonly node: string
  readonly zone: string
  readonly weight: number
  /** It is terminating and serves because nobody else does. */
  readonly terminating: boolean
}
