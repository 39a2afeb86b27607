import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_ENDPOINT, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { ObjectError, ObjectField } from './object-field.ts'
import { parseObjects } from './parse.ts'

const locate = (path: readonly (string | number)[]): string => `at:${path.length}`

function parse(value: unknown): unknown[] {
  return parseObjects(new ObjectField(value, locate)).map(item => {
    if (item instanceof ObjectError) return item.message
    return item.kind === 'unused' ? `unused ${item.name}` : item.row
  })
}

const node = (rest: object): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, ...rest })
const pod = (rest: object): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p1' }, ...rest })
const nodeRow = { name: 'n1', addresses: [], podCidrs: [], labels: {} }
const podRow = {
  namespace: 'default',
  name: 'p1',
  uid: '',
  nodeName: '',
  addresses: [],
  hostNetwork: false,
  labels: {},
}

const service = (rest: object): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's1' }, ...rest })
const serviceRow = { ...PLAIN_SERVICE, name: 's1' }
const slice = (rest: object): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'e1', labels: { 'kubernetes.io/service-name': 's1' } },
  addressType: 'IPv4',
  ...rest,
})
const sliceRow = { namespace: 'default', name: 'e1', service: 's1', ports: [], weight: 1, endpoints: [] }
const endpoint = { ...PLAIN_ENDPOINT, address: '10.1.0.1' }

const good: readonly (readonly [what: string, object: unknown, rows: readonly unknown[]])[] = [
  ['a node with nothing but a name', node({}), [nodeRow]],
  ...(['False', 'Unknown'] as const).map(
    status =>
      [
        `a node whose kubelet is not ready: ${status}`,
        node({ status: { conditions: [{ type: 'Ready', status }] } }),
        [{ ...nodeRow, notReady: true }],
      ] as const,
  ),
  [
    'a node whose kubelet is ready',
    node({
      status: {
        conditions: [
          { type: 'DiskPressure', status: 'False' },
          { type: 'Ready', status: 'True' },
        ],
      },
    }),
    [nodeRow],
  ],
  [
    'a namespace',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'web', labels: { team: 'red' } } },
    [{ name: 'web', labels: { team: 'red' } }],
  ],
  [
    'a node with ranges of both families, in canonical text',
    node({ spec: { podCIDR: 'x', podCIDRs: ['10.1.2.3/24', 'FD00:0::/64'] } }),
    [{ ...nodeRow, podCidrs: ['10.1.2.0/24', 'fd00::/64'] }],
  ],
  [
    'a node with the older single range',
    node({ spec: { podCIDR: '10.1.0.0/24' } }),
    [{ ...nodeRow, podCidrs: ['10.1.0.0/24'] }],
  ],
  [
    'the first internal address of each family, and the external ones',
    node({
      status: {
        addresses: [
          { type: 'Hostname', address: 'n1' },
          { type: 'ExternalIP', address: '203.0.113.1' },
          { type: 'InternalIP', address: '192.0.2.1' },
          { type: 'InternalIP', address: '192.0.2.2' },
          { type: 'InternalIP', address: '2001:DB8::1' },
        ],
      },
    }),
    [{ ...nodeRow, addresses: ['192.0.2.1', '2001:db8::1'], externalAddresses: ['203.0.113.1'] }],
  ],
  ['fields that are null like fields that are absent', node({ spec: null, status: { addresses: null } }), [nodeRow]],
  [
    'fields nobody uses, whatever their form',
    node({ spec: { taints: 'all', externalID: 7 }, status: { images: 3 } }),
    [nodeRow],
  ],
  [
    'a pod with all its fields',
    pod({
      metadata: { name: 'p1', namespace: 'ns', uid: 'u', labels: { app: 'web' } },
      spec: { nodeName: 'n1', hostNetwork: true },
      status: { phase: 'Running', podIP: '10.1.0.2', podIPs: [{ ip: '10.1.0.2' }, { ip: 'fd00::2' }] },
    }),
    [
      {
        namespace: 'ns',
        name: 'p1',
        uid: 'u',
        nodeName: 'n1',
        addresses: ['10.1.0.2', 'fd00::2'],
        hostNetwork: true,
        labels: { app: 'web' },
      },
    ],
  ],
  [
    'a pod with the older single address',
    pod({ status: { podIP: '10.1.0.2' } }),
    [{ ...podRow, addresses: ['10.1.0.2'] }],
  ],
  ['a pod that has no address yet', pod({ status: { podIP: '', podIPs: [] } }), [podRow]],
  [
    'a pod that has ended, without its addresses',
    pod({ status: { phase: 'Succeeded', podIP: '10.1.0.2' } }),
    [{ ...podRow, ending: true }],
  ],
  [
    'a pod that is to be deleted',
    pod({ metadata: { name: 'p1', deletionTimestamp: '2026-01-01T00:00:00Z' } }),
    [{ ...podRow, ending: true }],
  ],
  [
    'a pod that may have an address in place of the cloud’s',
    pod({ metadata: { name: 'p1', annotations: { 'causeway.dev/fallback-pool': 'true' } } }),
    [{ ...podRow, fallbackPool: true }],
  ],
  ['a service with nothing but a name', service({}), [serviceRow]],
  [
    'a service with all its fields',
    service({
      metadata: { name: 's1', annotations: { a: 'b' } },
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.1',
        clusterIPs: ['10.96.0.1', 'FD00::1'],
        externalIPs: ['198.51.100.1'],
        loadBalancerSourceRanges: ['203.0.113.7/24'],
        ports: [{ name: 'dns', protocol: 'UDP', port: 53, targetPort: 5353, nodePort: 30053 }],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
        externalTrafficPolicy: 'Local',
        internalTrafficPolicy: 'Local',
        healthCheckNodePort: 30100,
        trafficDistribution: 'PreferClose',
        publishNotReadyAddresses: true,
      },
      status: {
        loadBalancer: { ingress: [{ ip: '203.0.113.1' }, { ip: '203.0.113.2', ipMode: 'Proxy' }, { hostname: 'x' }] },
      },
    }),
    [
      {
        ...serviceRow,
        type: 'LoadBalancer',
        clusterIPs: ['10.96.0.1', 'fd00::1'],
        externalIPs: ['198.51.100.1'],
        loadBalancerIPs: ['203.0.113.1'],
        sourceRanges: ['203.0.113.0/24'],
        ports: [{ name: 'dns', protocol: 'UDP', port: 53, nodePort: 30_053 }],
        affinitySeconds: 60,
        externalTrafficPolicy: 'Local',
        internalTrafficPolicy: 'Local',
        healthCheckNodePort: 30_100,
        trafficDistribution: 'PreferSameZone',
        publishNotReadyAddresses: true,
        annotations: { a: 'b' },
      },
    ],
  ],
  [
    'a headless service, which has no address',
    service({ spec: { clusterIP: 'None', clusterIPs: ['None'] } }),
    [serviceRow],
  ],
  [
    'a service of another name, which has neither address nor port',
    service({ spec: { type: 'ExternalName', externalName: 'x.example', ports: [{ port: 80 }] } }),
    [{ ...serviceRow, type: 'ExternalName' }],
  ],
  [
    'affinity of the usual length',
    service({ spec: { sessionAffinity: 'ClientIP' } }),
    [{ ...serviceRow, affinitySeconds: 10_800 }],
  ],
  [
    'how a service finds its backends',
    service({
      metadata: {
        name: 's1',
        annotations: { 'causeway.dev/algorithm': 'maglev', 'causeway.dev/maglev-table-size': '1021' },
      },
    }),
    [
      {
        ...serviceRow,
        algorithm: 'maglev',
        tableSize: 1021,
        annotations: { 'causeway.dev/algorithm': 'maglev', 'causeway.dev/maglev-table-size': '1021' },
      },
    ],
  ],
  [
    'who answers a client elsewhere',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/forwarding': 'dsr' } } }),
    [{ ...serviceRow, forwarding: 'dsr', annotations: { 'causeway.dev/forwarding': 'dsr' } }],
  ],
  [
    'how many flows keep to their zone',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/zone-capacity': '50' } } }),
    [{ ...serviceRow, zoneCapacity: 50, annotations: { 'causeway.dev/zone-capacity': '50' } }],
  ],
  [
    'the weight of endpoints',
    slice({
      metadata: {
        name: 'e1',
        labels: { 'kubernetes.io/service-name': 's1' },
        annotations: { 'causeway.dev/weight': '20' },
      },
    }),
    [{ ...sliceRow, weight: 20 }],
  ],
  ['a slice with nothing in it', slice({}), [sliceRow]],
  [
    'a slice whose endpoints say nothing, and which are ready therefore',
    slice({ ports: [{ name: 'a', port: 80 }, { name: 'all' }], endpoints: [{ addresses: ['10.1.0.1'] }] }),
    [{ ...sliceRow, ports: [{ name: 'a', protocol: 'TCP', port: 80 }], endpoints: [endpoint] }],
  ],
  [
    'of several addresses of an endpoint the first, and no endpoint that has none',
    slice({ endpoints: [{ addresses: ['10.1.0.1', '10.1.0.2'] }, { addresses: [] }] }),
    [{ ...sliceRow, endpoints: [endpoint] }],
  ],
  [
    'a slice whose endpoint is not ready, and so serves nobody unless it says so',
    slice({
      endpoints: [
        { addresses: ['10.1.0.1'], conditions: { ready: false } },
        { addresses: ['10.1.0.1'], conditions: { ready: false, serving: true, terminating: true } },
      ],
    }),
    [
      {
        ...sliceRow,
        endpoints: [
          { ...endpoint, ready: false, serving: false },
          { ...endpoint, ready: false, terminating: true },
        ],
      },
    ],
  ],
  [
    'where an endpoint is and whom it is meant for',
    slice({
      endpoints: [
        {
          addresses: ['10.1.0.1'],
          nodeName: 'n1',
          zone: 'west',
          hints: { forZones: [{ name: 'west' }], forNodes: [{ name: 'n1' }] },
        },
      ],
    }),
    [
      {
        ...sliceRow,
        endpoints: [{ ...endpoint, nodeName: 'n1', zone: 'west', hintZones: ['west'], hintNodes: ['n1'] }],
      },
    ],
  ],
  ['a slice of names as a kind that is not used', slice({ addressType: 'FQDN' }), ['unused EndpointSlice of names']],
  ['a list of mixed kinds', { apiVersion: 'v1', kind: 'List', items: [node({}), pod({})] }, [nodeRow, podRow]],
  [
    'a typed list whose items carry no kind',
    { apiVersion: 'v1', kind: 'PodList', items: [{ metadata: { name: 'p1' } }] },
    [podRow],
  ],
  ['an empty list', { apiVersion: 'v1', kind: 'List', items: null }, []],
  ['kinds that are not used', { apiVersion: 'apps/v1', kind: 'Deployment', spec: 1 }, ['unused apps/v1 Deployment']],
  ['a Node of another API group as another kind', { apiVersion: 'x/v1', kind: 'Node' }, ['unused x/v1 Node']],
]
for (const [what, object, rows] of good) {
  test(`the parser reads ${what}`, () => assert.deepEqual(parse(object), rows))
}

const bad: readonly (readonly [what: string, object: unknown, message: string])[] = [
  ['no object at all', 'text', 'at:0: must be a group of fields'],
  ['no kind', { apiVersion: 'v1' }, 'at:0: has no kind; a Kubernetes object has apiVersion and kind'],
  ['no version', { kind: 'Pod' }, 'at:0: has no apiVersion'],
  ['no name', { apiVersion: 'v1', kind: 'Pod' }, 'at:2: metadata.name: is missing'],
  [
    'a name that is none',
    node({ metadata: { name: 'N 1' } }),
    'at:2: metadata.name: "N 1" is no name: lower case letters, digits, - and . only',
  ],
  [
    'a range without length',
    node({ spec: { podCIDRs: ['10.0.0.0/8', '10.1.0.0'] } }),
    "at:3: spec.podCIDRs[1]: '10.1.0.0' is no prefix: /length is missing",
  ],
  ['ranges that are no list', node({ spec: { podCIDRs: '10.0.0.0/8' } }), 'at:2: spec.podCIDRs: must be a list'],
  [
    'an address that is none',
    pod({ status: { podIPs: [{ ip: '10.0.0.256' }] } }),
    "at:4: status.podIPs[0].ip: '10.0.0.256' is no IPv4 or IPv6 address",
  ],
  [
    'a label that is no text',
    pod({ metadata: { name: 'p1', labels: { a: 1 } } }),
    'at:3: metadata.labels.a: must be text, not 1',
  ],
  [
    'a flag that is text',
    pod({ spec: { hostNetwork: 'yes' } }),
    'at:2: spec.hostNetwork: must be true or false, not "yes"',
  ],
]
const badServices: typeof bad = [
  [
    'a type that is none',
    service({ spec: { type: 'Cluster' } }),
    'at:2: spec.type: must be one of ClusterIP, NodePort, LoadBalancer, ExternalName',
  ],
  [
    'a port that is none',
    service({ spec: { ports: [{ port: 70_000 }] } }),
    'at:4: spec.ports[0].port: must be a port from 1 to 65535, not 70000',
  ],
  ['no port in a port', service({ spec: { ports: [{ name: 'a' }] } }), 'at:4: spec.ports[0].port: is missing'],
  [
    'a protocol that is none',
    service({ spec: { ports: [{ port: 1, protocol: 'tcp' }] } }),
    'at:4: spec.ports[0].protocol: must be one of TCP, UDP, SCTP',
  ],
  [
    'an address that is none, of a service',
    service({ spec: { clusterIPs: ['10.96.0.300'] } }),
    "at:3: spec.clusterIPs[0]: '10.96.0.300' is no IPv4 or IPv6 address",
  ],
  [
    'an affinity of no time',
    service({ spec: { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } } }),
    'at:4: spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be a number of seconds from 1 to 86400',
  ],
  [
    'an algorithm that is none',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/algorithm': 'best' } } }),
    'at:3: metadata.annotations.causeway.dev/algorithm: must be one of random, maglev, least',
  ],
  [
    'a capacity of nothing',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/zone-capacity': '0' } } }),
    'at:3: metadata.annotations.causeway.dev/zone-capacity: must be a number of flows from 1',
  ],
  [
    'a forwarding that is none',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/forwarding': 'DSR' } } }),
    'at:3: metadata.annotations.causeway.dev/forwarding: must be one of snat, dsr',
  ],
  [
    'a table whose size is no prime',
    service({ metadata: { name: 's1', annotations: { 'causeway.dev/maglev-table-size': '1000' } } }),
    'at:3: metadata.annotations.causeway.dev/maglev-table-size: must be one of 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071',
  ],
  [
    'no weight',
    slice({ metadata: { name: 'e1', annotations: { 'causeway.dev/weight': '0' } } }),
    'at:3: metadata.annotations.causeway.dev/weight: must be a whole number from 1 to 1000, not "0"',
  ],
  ['no type of address', slice({ addressType: undefined }), 'at:1: addressType: must be IPv4, IPv6 or FQDN'],
  [
    'an address of the other family',
    slice({ endpoints: [{ addresses: ['fd00::1'] }] }),
    "at:4: endpoints[0].addresses[0]: 'fd00::1' is no IPv4 address",
  ],
]
for (const [what, object, message] of [...bad, ...badServices]) {
  test(`an object with ${what} is refused by field`, () => assert.deepEqual(parse(object), [message]))
}

test('a bad item of a list does not hide the others', () => {
  const rows = parse({ apiVersion: 'v1', kind: 'List', items: [node({}), { kind: 'Pod' }, pod({})] })
  assert.deepEqual(rows, [nodeRow, 'at:2: items[1]: has no apiVersion', podRow])
})
