/**
 * The few defaults and generated values of Kubernetes' own kinds that clients here see (kubernetes pkg/apis/…/defaults.go
 * and the registries' strategies). The kinds' full defaulting and validation is not here.
 */
import { asText, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'

/** Sets what is missing, in place. `before` is the object as it is, if there is one. */
export function setBuiltInDefaults(
  group: string,
  kind: string,
  object: KubeObject,
  before: KubeObject | undefined,
  freeServiceAddress: () => string,
): void {
  const defaults: Readonly<Record<string, () => void>> = {
    '/Namespace': () => namespace(object),
    '/Pod': () => pod(object),
    '/Secret': () => secret(object),
    '/Service': () => service(object, before, freeServiceAddress),
    '/ServiceAccount': () => {},
    'apps/Deployment': () => workload(object, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 }),
    'apps/ReplicaSet': () => workload(object, { replicas: 1 }),
    'apps/DaemonSet': () => workload(object, { revisionHistoryLimit: 10 }),
  }
  defaults[`${group}/${kind}`]?.()
}

/** What a kind's status is when the object is new; undefined leaves it as it came (nodes register with theirs). */
export function firstStatus(group: string, kind: string): JsonObject | undefined {
  if (group === '' && kind === 'Node') return undefined
  if (group === '' && kind === 'Pod') return { phase: 'Pending', qosClass: 'BestEffort' }
  if (group === '' && kind === 'Namespace') return { phase: 'Active' }
  if (group === '' && kind === 'Service') return { loadBalancer: {} }
  return {}
}

function fill(object: JsonObject, name: string, defaults: JsonObject): JsonObject {
  const value = object[name]
  const filled = { ...defaults, ...(isObject(value) ? value : {}) }
  object[name] = filled
  return filled
}

function namespace(object: KubeObject): void {
  object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name ?? '' }
  fill(object, 'spec', { finalizers: ['kubernetes'] })
}

/** `stringData` is written, `data` is read. */
function secret(object: KubeObject): void {
  object['type'] ??= 'Opaque'
  const { stringData } = object
  if (!isObject(stringData)) return
  const encoded = Object.entries(stringData).map(([name, value]) => [
    name,
    typeof value === 'string' ? Buffer.from(value).toString('base64') : '',
  ])
  object['data'] = { ...objectAt(object, 'data'), ...(Object.fromEntries(encoded) as JsonObject) }
  delete object['stringData']
}

const POD_SPEC: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  schedulerName: 'default-scheduler',
  securityContext: {},
}

function pod(object: KubeObject): void {
  const spec = fill(object, 'spec', { ...POD_SPEC, enableServiceLinks: true, serviceAccountName: 'default' })
  containers(spec)
}

function containers(spec: JsonObject): void {
  for (const container of [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')]) {
    if (!isObject(container)) continue
    container['terminationMessagePath'] ??= '/dev/termination-log'
    container['terminationMessagePolicy'] ??= 'File'
    container['imagePullPolicy'] ??= pullPolicy(textAt(container, 'image'))
    container['resources'] ??= {}
    for (const port of listAt(container, 'ports')) if (isObject(port)) port['protocol'] ??= 'TCP'
  }
}

function pullPolicy(image: string): string {
  const tag = /:([^/@]+)$/.exec(image)?.[1] ?? ''
  return (tag === '' && !image.includes('@')) || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

function workload(object: KubeObject, defaults: JsonObject): void {
  const spec = fill(object, 'spec', defaults)
  const template = fill(spec, 'template', { metadata: {} })
  containers(fill(template, 'spec', POD_SPEC))
}

function service(object: KubeObject, before: KubeObject | undefined, freeAddress: () => string): void {
  const spec = fill(object, 'spec', { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' })
  for (const port of listAt(spec, 'ports')) if (isObject(port)) portDefaults(port)
  if (spec['type'] === 'ExternalName') return
  const kept = textAt(before, 'spec', 'clusterIP')
  const address = textAt(spec, 'clusterIP') || kept || freeAddress()
  spec['clusterIP'] = address
  const addresses: Json[] = listAt(spec, 'clusterIPs')
  spec['clusterIPs'] = addresses.length > 0 ? addresses : [address]
  if (address === 'None') return
  const families = listAt(spec, 'clusterIPs').map(a => (asText(a).includes(':') ? 'IPv6' : 'IPv4'))
  spec['ipFamilies'] ??= families
  spec['ipFamilyPolicy'] ??= families.length > 1 ? 'RequireDualStack' : 'SingleStack'
}

function portDefaults(port: JsonObject): void {
  port['protocol'] ??= 'TCP'
  port['targetPort'] ??= port['port'] ?? 0
}
