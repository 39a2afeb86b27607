/** A Service for tests and benches that say only what matters to them. */
import type { Balancing } from '../../daemon/service/balancing.ts'
import type { BackendRow, FrontendRow, ServiceRow, SliceEndpoint } from '../../daemon/state/service-rows.ts'

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

/** A ready one that is nowhere in particular. */
export const PLAIN_BACKEND: BackendRow = { address: '', port: 8080, node: '', zone: '', weight: 1, terminating: false }

/** Of a ClusterIP at port 80, served by nobody. */
export const PLAIN_FRONTEND: Omit<FrontendRow, 'key' | 'address'> = {
  port: 80,
  protocol: 'TCP',
  scope: 'inside',
  kind: 'cluster-ip',
  exclusive: true,
  silent: false,
  service: 'default/web',
  portName: '',
  affinitySeconds: 0,
  sourceRanges: [],
  algorithm: 'random',
  tableSize: 251,
  forwarding: 'snat',
  counted: false,
  backends: [],
  direct: [],
}

/** A ready endpoint that is nowhere in particular and for everybody. */
export const PLAIN_ENDPOINT: Omit<SliceEndpoint, 'address'> = {
  ready: true,
  serving: true,
  terminating: false,
  nodeName: '',
  zone: '',
  hintZones: [],
  hintNodes: [],
}
