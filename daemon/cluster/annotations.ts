/** What can be wished for at objects of the cluster; described in docs/services.md and docs/routing.md. */
export const ANNOTATION = {
  /** Of a Service: `random`, `maglev` or `least`. */
  algorithm: 'causeway.dev/algorithm',
  /** Of a Service: places of its Maglev table. */
  tableSize: 'causeway.dev/maglev-table-size',
  /** Of a Service: `snat` or `dsr`. */
  forwarding: 'causeway.dev/forwarding',
  /** Of a Service with a traffic distribution: flows of a node for each endpoint near it, from 1. */
  zoneCapacity: 'causeway.dev/zone-capacity',
  /** Of an EndpointSlice: share of each of its endpoints, from 1 to 1000. */
  weight: 'causeway.dev/weight',
  /** Of a Node, also as a label, which counts first: the network that routes its pods; empty: none does. */
  nativeNetwork: 'causeway.dev/native-network',
  /** Of a Pod, or a Namespace for pods that do not say it: `true` allows addresses of the pool that stands in for the cloud's. */
  fallbackPool: 'causeway.dev/fallback-pool',
} as const
