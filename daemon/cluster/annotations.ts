/** What can be wished for at objects of the cluster; described in docs/services.md. */
export const ANNOTATION = {
  /** Of a Service: `random`, `maglev` or `least`. */
  algorithm: 'causeway.io/algorithm',
  /** Of a Service: places of its Maglev table. */
  tableSize: 'causeway.io/maglev-table-size',
  /** Of a Service: `snat` or `dsr`. */
  forwarding: 'causeway.io/forwarding',
  /** Of a Service with a traffic distribution: flows of a node for each endpoint near it, from 1. */
  zoneCapacity: 'causeway.io/zone-capacity',
  /** Of an EndpointSlice: share of each of its endpoints, from 1 to 1000. */
  weight: 'causeway.io/weight',
} as const
