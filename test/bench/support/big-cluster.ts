/**
 * The objects of a cluster of any size, as large as those of real ones: Nodes of 4 kB with labels, conditions and images,
 * services of ten endpoints each, pods all over. Pure; everything follows from the sizes.
 */
import type { KubeObject } from '../../../deploy/lab/api-server/objects/kube-object.ts'
import type { Json, JsonObject } from '../../../deploy/lab/api-server/objects/json.ts'

export interface ClusterSize {
  readonly nodes: number
  /** With one slice of ENDPOINTS endpoints each. */
  readonly services: number
  readonly pods: number
  /** Of them on node1, at most. */
  readonly ownPods: number
  readonly namespaces: number
  /** Nodes have their ranges; else an operator is to give them. */
  readonly ranges: boolean
}

export const ENDPOINTS = 10
export const SERVICE_PORT = 80
const ZONES = ['a', 'b', 'c'] as const

export function* objectsOf(size: ClusterSize): Generator<KubeObject> {
  for (let i = 0; i < size.namespaces; i++) yield namespaceObject(i)
  for (let i = 1; i <= size.nodes; i++) yield nodeObject(i)
  if (size.ranges) for (let i = 1; i <= size.nodes; i++) yield nodeNetworkObject(i)
  else yield poolObject()
  for (let i = 0; i < size.services; i++) yield serviceObject(i, size)
  for (let i = 0; i < size.services; i++) yield sliceObject(i, ENDPOINTS, size)
  for (let i = 0; i < size.pods; i++) yield podObject(i, size)
}

/** node1 is the lab's. */
export function nodeName(i: number): string {
  return `node${i}`
}

export function serviceName(i: number): string {
  return `service-${i}`
}

export function namespaceOf(i: number, { namespaces }: Pick<ClusterSize, 'namespaces'>): string {
  return `team-${i % namespaces}`
}

export function sliceName(i: number): string {
  return `${serviceName(i)}-x7k2p`
}

export function podName(i: number): string {
  return `service-${Math.floor(i / ENDPOINTS)}-6c9d8f7b5-${i % ENDPOINTS}`
}

export function clusterAddress(i: number): string {
  return `10.96.${i >> 8}.${i & 255}`
}

/** The service of change number `n`: each once before any of them again. */
export function changedService(n: number, { services }: Pick<ClusterSize, 'services'>): number {
  return (n * 7) % services
}

/** A kubelet's report, in which the time alone is new. */
export function conditionsOf(beat: number): JsonObject[] {
  const seconds = (offset: number): string => new Date(1_790_000_000_000 + offset * 1000).toISOString().slice(0, 19)
  const condition = (type: string, status: string, reason: string, message: string): JsonObject => ({
    type,
    status,
    lastHeartbeatTime: `${seconds(beat)}Z`,
    lastTransitionTime: `${seconds(0)}Z`,
    reason,
    message,
  })
  return [
    condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
    condition('NetworkUnavailable', 'False', 'CausewayReady', 'the daemon of the node is ready'),
  ]
}

export function endpointsOf(i: number, count: number, { nodes, namespaces }: ClusterSize): Json[] {
  return Array.from({ length: count }, (_, n) => {
    const pod = i * ENDPOINTS + n
    const node = (pod % nodes) + 1
    return {
      addresses: [`10.${128 + (node >> 8)}.${node & 255}.${2 + (Math.floor(pod / nodes) % 250)}`],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: nodeName(node),
      targetRef: {
        kind: 'Pod',
        namespace: namespaceOf(i, { namespaces }),
        name: podName(pod),
        uid: uid('a0de', pod),
      },
      zone: zoneOf(node),
    }
  })
}

function uid(prefix: string, i: number): string {
  return `${prefix}0000-1111-4222-8333-${i.toString(16).padStart(12, '0')}`
}

function zoneOf(node: number): string {
  return `eu-central-1${ZONES[node % ZONES.length]}`
}

function namespaceObject(i: number): KubeObject {
  const name = `team-${i}`
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name, team: name, 'cost-centre': `${1000 + i}` } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }
}

function nodeObject(i: number): KubeObject {
  // node1 is on the lab's own link.
  const address = i === 1 ? '172.30.0.1' : `172.31.${i >> 8}.${i & 255}`
  const name = nodeName(i)
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: uid('b0de', i), labels: nodeLabels(i), annotations: nodeAnnotations(i) },
    spec: { providerID: `aws:///${zoneOf(i)}/i-0${i.toString(16).padStart(16, '0')}` },
    status: {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'InternalDNS', address: `${name}.eu-central-1.compute.internal` },
        { type: 'Hostname', address: `${name}.eu-central-1.compute.internal` },
      ],
      allocatable: amounts('7910m', '30425748Ki'),
      capacity: amounts('8', '31521428Ki'),
      conditions: conditionsOf(0),
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
      images: Array.from({ length: 8 }, (_, n) => ({
        names: [
          `registry.example.com/team-${n}/service@sha256:${`${i}${n}`.padStart(64, 'ab')}`,
          `registry.example.com/team-${n}/service:v1.${n}.${i % 10}`,
        ],
        sizeBytes: 123_456_789 + n,
      })),
      nodeInfo: {
        architecture: 'amd64',
        bootID: uid('c0de', i),
        containerRuntimeVersion: 'containerd://2.1.4',
        kernelVersion: '6.12.40-64.114.amzn2023.x86_64',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.35.0',
        machineID: uid('d0de', i),
        operatingSystem: 'linux',
        osImage: 'Amazon Linux 2023.8.20250808',
        systemUUID: uid('e0de', i),
      },
    },
  }
}

function amounts(cpu: string, memory: string): JsonObject {
  return { cpu, 'ephemeral-storage': '76224326324', 'hugepages-1Gi': '0', 'hugepages-2Mi': '0', memory, pods: '110' }
}

function nodeLabels(i: number): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': 'amd64',
    'beta.kubernetes.io/instance-type': 'm6i.2xlarge',
    'beta.kubernetes.io/os': 'linux',
    'eks.amazonaws.com/capacityType': 'ON_DEMAND',
    'eks.amazonaws.com/nodegroup': `workers-${i % 20}`,
    'eks.amazonaws.com/nodegroup-image': 'ami-0123456789abcdef0',
    'failure-domain.beta.kubernetes.io/region': 'eu-central-1',
    'failure-domain.beta.kubernetes.io/zone': zoneOf(i),
    'k8s.io/cloud-provider-aws': '0123456789abcdef0123456789abcdef',
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/hostname': `${nodeName(i)}.eu-central-1.compute.internal`,
    'kubernetes.io/os': 'linux',
    'node.kubernetes.io/instance-type': 'm6i.2xlarge',
    'topology.ebs.csi.aws.com/zone': zoneOf(i),
    'topology.kubernetes.io/region': 'eu-central-1',
    'topology.kubernetes.io/zone': zoneOf(i),
  }
}

function nodeAnnotations(i: number): Record<string, string> {
  return {
    'csi.volume.kubernetes.io/nodeid': JSON.stringify({ 'ebs.csi.aws.com': `i-0${i.toString(16).padStart(16, '0')}` }),
    'node.alpha.kubernetes.io/ttl': '300',
    'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
  }
}

function nodeNetworkObject(i: number): KubeObject {
  return {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'NodeNetwork',
    metadata: {
      name: nodeName(i),
      generation: 1,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName(i), uid: uid('b0de', i) }],
    },
    spec: {
      podCidrs: [`10.${128 + (i >> 8)}.${i & 255}.0/24`, `fd00:71:0:${i.toString(16)}::/112`],
      pool: 'all',
    },
    status: {
      version: '0.1.0',
      bootId: uid('c0de', i),
      addresses: [
        { pool: 'all', family: 'IPv4', total: 254, used: 20 },
        { pool: 'all', family: 'IPv6', total: 65_534, used: 20 },
      ],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'DaemonReady',
          message: 'pods can be started',
          lastTransitionTime: '2026-09-21T14:13:20Z',
          observedGeneration: 1,
        },
      ],
    },
  }
}

function poolObject(): KubeObject {
  return {
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'IPPool',
    metadata: { name: 'all', generation: 1 },
    spec: {
      cidrs: [
        { cidr: '10.128.0.0/9', nodePrefixLength: 24 },
        { cidr: 'fd00:71::/96', nodePrefixLength: 112 },
      ],
    },
  }
}

function serviceObject(i: number, size: ClusterSize): KubeObject {
  const name = serviceName(i)
  const namespace = namespaceOf(i, size)
  const labels = { app: name, 'app.kubernetes.io/managed-by': 'Helm', 'helm.sh/chart': 'service-1.2.3' }
  const annotations = { 'meta.helm.sh/release-name': name, 'meta.helm.sh/release-namespace': namespace }
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels, annotations },
    spec: {
      clusterIP: clusterAddress(i),
      clusterIPs: [clusterAddress(i)],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'http', port: SERVICE_PORT, protocol: 'TCP', targetPort: 8080 }],
      selector: { app: name },
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
    status: { loadBalancer: {} },
  }
}

function sliceObject(i: number, count: number, size: ClusterSize): KubeObject {
  const name = serviceName(i)
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: sliceName(i),
      namespace: namespaceOf(i, size),
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-09-21T14:13:20Z' },
      labels: {
        app: name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': name,
      },
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Service', name, uid: uid('f0de', i), controller: true, blockOwnerDeletion: true },
      ],
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpointsOf(i, count, size),
  }
}

function podObject(i: number, size: ClusterSize): KubeObject {
  const own = i < size.ownPods
  const node = own ? 1 : (i % Math.max(size.nodes - 1, 1)) + 2
  const service = serviceName(Math.floor(i / ENDPOINTS))
  const ip = `10.${128 + (node >> 8)}.${node & 255}.${2 + (i % 250)}`
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(i),
      namespace: namespaceOf(Math.floor(i / ENDPOINTS), size),
      uid: uid('a0de', i),
      labels: { app: service, 'pod-template-hash': '6c9d8f7b5', 'app.kubernetes.io/managed-by': 'Helm' },
    },
    spec: {
      nodeName: nodeName(node),
      containers: [{ name: 'main', image: `registry.example.com/${service}:v1`, ports: [{ containerPort: 8080 }] }],
    },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], hostIP: '172.31.0.1', qosClass: 'Burstable' },
  }
}
