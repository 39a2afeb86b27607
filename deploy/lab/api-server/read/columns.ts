/** What kubectl shows of Kubernetes' own kinds, for those that are looked at here (kubernetes pkg/printers/internalversion). */
import type { Resource } from '../kinds/resource.ts'
import { asText, isObject, type Json, listAt, objectAt, textAt, texts, valueAt } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { ageColumn, type Column, column } from './column.ts'

/** Undefined for a kind without columns of its own, which has name and age. */
export function builtInColumns(resource: Resource): Column[] | undefined {
  return COLUMNS[`${resource.group}/${resource.kind}`]?.()
}

const text = (name: string, ...path: readonly string[]): Column =>
  column(name, 'string', object => textAt(object, ...path) || '<none>')
const count = (name: string, ...path: readonly string[]): Column =>
  column(name, 'integer', object => valueAt(object, ...path) ?? 0)
const wide = ({ definition, cell }: Column): Column => ({ definition: { ...definition, priority: 1 }, cell })

const COLUMNS: Readonly<Record<string, () => Column[]>> = {
  '/Node': () => [
    column('Status', 'string', nodeStatus),
    column('Roles', 'string', roles),
    ageColumn,
    text('Version', 'status', 'nodeInfo', 'kubeletVersion'),
    wide(column('Internal-IP', 'string', object => nodeAddress(object, 'InternalIP'))),
    wide(column('External-IP', 'string', object => nodeAddress(object, 'ExternalIP'))),
  ],
  '/Pod': () => [
    column('Ready', 'string', ready),
    column('Status', 'string', podStatus),
    column('Restarts', 'string', restarts),
    ageColumn,
    wide(text('IP', 'status', 'podIP')),
    wide(text('Node', 'spec', 'nodeName')),
  ],
  '/Service': () => [
    text('Type', 'spec', 'type'),
    text('Cluster-IP', 'spec', 'clusterIP'),
    column('External-IP', 'string', externalAddresses),
    column('Port(s)', 'string', ports),
    ageColumn,
    wide(column('Selector', 'string', object => pairs(objectAt(object, 'spec', 'selector')))),
  ],
  '/Namespace': () => [text('Status', 'status', 'phase'), ageColumn],
  '/Event': () => [
    column('Last Seen', 'string', (object, now) =>
      ageColumn.cell({ metadata: { creationTimestamp: lastSeen(object) } }, now),
    ),
    text('Type', 'type'),
    text('Reason', 'reason'),
    column(
      'Object',
      'string',
      object => `${textAt(object, 'involvedObject', 'kind').toLowerCase()}/${textAt(object, 'involvedObject', 'name')}`,
    ),
    text('Message', 'message'),
  ],
  '/ConfigMap': () => [column('Data', 'integer', object => Object.keys(objectAt(object, 'data')).length), ageColumn],
  '/Secret': () => [
    text('Type', 'type'),
    column('Data', 'integer', object => Object.keys(objectAt(object, 'data')).length),
    ageColumn,
  ],
  'apps/Deployment': () => [
    column(
      'Ready',
      'string',
      object => `${number(object, 'status', 'readyReplicas')}/${number(object, 'spec', 'replicas')}`,
    ),
    count('Up-to-date', 'status', 'updatedReplicas'),
    count('Available', 'status', 'availableReplicas'),
    ageColumn,
  ],
  'apps/DaemonSet': () => [
    count('Desired', 'status', 'desiredNumberScheduled'),
    count('Current', 'status', 'currentNumberScheduled'),
    count('Ready', 'status', 'numberReady'),
    count('Up-to-date', 'status', 'updatedNumberScheduled'),
    count('Available', 'status', 'numberAvailable'),
    ageColumn,
  ],
  'coordination.k8s.io/Lease': () => [text('Holder', 'spec', 'holderIdentity'), ageColumn],
  'discovery.k8s.io/EndpointSlice': () => [
    text('AddressType', 'addressType'),
    column('Ports', 'string', object =>
      joined(listAt(object, 'ports').map(port => (isObject(port) ? asText(port['port']) : ''))),
    ),
    column('Endpoints', 'string', object =>
      joined(listAt(object, 'endpoints').flatMap(e => texts(listAt(e, 'addresses')))),
    ),
    ageColumn,
  ],
  'networking.k8s.io/NetworkPolicy': () => [
    column('Pod-Selector', 'string', object => pairs(objectAt(object, 'spec', 'podSelector', 'matchLabels'))),
    ageColumn,
  ],
  'apiextensions.k8s.io/CustomResourceDefinition': () => [
    column('Created At', 'date', object => object.metadata.creationTimestamp ?? null),
  ],
}

function number(object: KubeObject, ...path: readonly string[]): number {
  const value = valueAt(object, ...path)
  return typeof value === 'number' ? value : 0
}

function joined(values: readonly string[]): string {
  if (values.length === 0) return '<unset>'
  return values.length <= 3 ? values.join(',') : `${values.slice(0, 3).join(',')} + ${values.length - 3} more...`
}

function pairs(labels: Readonly<Record<string, Json | undefined>>): string {
  const each = Object.entries(labels).map(([name, value]) => `${name}=${asText(value)}`)
  return each.length === 0 ? '<none>' : each.join(',')
}

function condition(object: KubeObject, type: string): string {
  const found = listAt(object, 'status', 'conditions').find(c => textAt(c, 'type') === type)
  return textAt(found, 'status')
}

function nodeStatus(object: KubeObject): string {
  const status = condition(object, 'Ready')
  const ready = status === '' ? 'Unknown' : status === 'True' ? 'Ready' : 'NotReady'
  return valueAt(object, 'spec', 'unschedulable') === true ? `${ready},SchedulingDisabled` : ready
}

function roles(object: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const found = Object.keys(object.metadata.labels ?? {}).filter(label => label.startsWith(prefix))
  return (
    found
      .map(label => label.slice(prefix.length))
      .sort()
      .join(',') || '<none>'
  )
}

function nodeAddress(object: KubeObject, type: string): string {
  const found = listAt(object, 'status', 'addresses').find(a => textAt(a, 'type') === type)
  return textAt(found, 'address') || '<none>'
}

function ready(object: KubeObject): string {
  const states = listAt(object, 'status', 'containerStatuses')
  const up = states.filter(state => isObject(state) && state['ready'] === true).length
  return `${up}/${listAt(object, 'spec', 'containers').length}`
}

function podStatus(object: KubeObject): string {
  if (object.metadata.deletionTimestamp) return 'Terminating'
  return textAt(object, 'status', 'reason') || textAt(object, 'status', 'phase') || 'Unknown'
}

function restarts(object: KubeObject): string {
  const each = listAt(object, 'status', 'containerStatuses').map(state => (isObject(state) ? state['restartCount'] : 0))
  return `${each.reduce<number>((sum, n) => sum + (typeof n === 'number' ? n : 0), 0)}`
}

function externalAddresses(object: KubeObject): string {
  const ingress = listAt(object, 'status', 'loadBalancer', 'ingress').map(i => textAt(i, 'ip') || textAt(i, 'hostname'))
  const all = [...ingress, ...texts(listAt(object, 'spec', 'externalIPs'))]
  if (all.length > 0) return all.join(',')
  return textAt(object, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>'
}

function ports(object: KubeObject): string {
  const each = listAt(object, 'spec', 'ports')
    .filter(isObject)
    .map(port => {
      const node = port['nodePort'] === undefined ? '' : `:${asText(port['nodePort'])}`
      return `${asText(port['port'])}${node}/${textAt(port, 'protocol') || 'TCP'}`
    })
  return each.join(',') || '<none>'
}

function lastSeen(object: KubeObject): string {
  return textAt(object, 'lastTimestamp') || textAt(object, 'eventTime') || (object.metadata.creationTimestamp ?? '')
}
