/** What can be wished for at objects of the cluster; described in docs/services.md. */
export const ANNOTATION = {
  /** Of a Service: `random` or `maglev`. */
  algorithm: 'causeway.io/algorithm',
  /** Of a Service: places of its Maglev table. */
  tableSize: 'causeway.io/maglev-table-size',
  /** Of a Service: `snat` or `dsr`. */
  forwarding: 'causeway.io/forwarding',
  /** Of an EndpointSlice: share of each of its endpoints, from 1 to 1000. */
  weight: 'causeway.io/weight',
} as const
