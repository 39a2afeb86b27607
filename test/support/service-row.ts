/** A Service for tests and benches that say only what matters to them. */
import type { Balancing } from '../../daemon/service/frontends.ts'
import type { ServiceRow } from '../../daemon/state/service-rows.ts'

/** What the configuration says unless told otherwise, with the smallest tables. */
export const PLAIN_BALANCING: Balancing = {
  tableSize: 251,
  inside: false,
  forwarding: 'snat',
  dsr: true,
  nodePortRanges: [],
  nodePortLoopback: false,
}

/** Of type ClusterIP, with no address and no port, and otherwise as the API server's defaults have it. */
export const PLAIN_SERVICE: ServiceRow = {
  namespace: 'default',
  name: 'web',
  type: 'ClusterIP',
  clusterIPs: [],
  externalIPs: [],
  loadBalancerIPs: [],
  sourceRanges: [],
  ports: [],
  affinitySeconds: 0,
  externalTrafficPolicy: 'Cluster',
  internalTrafficPolicy: 'Cluster',
  healthCheckNodePort: 0,
  publishNotReadyAddresses: false,
  annotations: {},
}
