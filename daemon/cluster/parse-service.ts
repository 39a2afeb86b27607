/** A Service (v1) → its row. Defaults are those of the API reference. */
import { canonicalAddress, canonicalPrefix } from '../kernel/ip.ts'
import {
  type ServicePort,
  type ServiceProtocol,
  type ServiceRow,
  TABLE_SIZES,
  type TableSize,
  type TrafficPolicy,
} from '../state/service-rows.ts'
import { ANNOTATION } from './annotations.ts'
import type { ObjectField } from './object-field.ts'
import { isEmpty, objectName, objectNamespace } from './object-name.ts'

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
const POLICIES = ['Cluster', 'Local'] as const
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const
const AFFINITIES = ['None', 'ClientIP'] as const
const IP_MODES = ['VIP', 'Proxy'] as const
const ALGORITHMS = ['random', 'maglev', 'least'] as const
const FORWARDINGS = ['snat', 'dsr'] as const
const DEFAULT_AFFINITY_SECONDS = 10_800
const LONGEST_AFFINITY_SECONDS = 86_400
/** What has no address here: a headless service. */
const HEADLESS = 'None'

export function parseService(object: ObjectField): ServiceRow {
  const spec = object.at('spec')
  const type = oneOf(spec.at('type'), TYPES) ?? 'ClusterIP'
  const distribution = distributionOf(spec.at('trafficDistribution'))
  const annotations = object.at('metadata').at('annotations')
  const algorithm = oneOf(annotations.at(ANNOTATION.algorithm), ALGORITHMS)
  const capacity = zoneCapacity(annotations.at(ANNOTATION.zoneCapacity))
  const forwarding = oneOf(annotations.at(ANNOTATION.forwarding), FORWARDINGS)
  const size = tableSize(annotations.at(ANNOTATION.tableSize))
  return {
    namespace: objectNamespace(object),
    name: objectName(object),
    type,
    clusterIPs: type === 'ExternalName' ? [] : clusterIPs(spec),
    externalIPs: type === 'ExternalName' ? [] : addresses(spec.at('externalIPs').items()),
    loadBalancerIPs: type === 'LoadBalancer' ? loadBalancerIPs(object.at('status')) : [],
    sourceRanges: spec
      .at('loadBalancerSourceRanges')
      .items()
      .map(item => item.converted(text => canonicalPrefix(text.trim()))),
    ports: type === 'ExternalName' ? [] : spec.at('ports').items().map(parsePort),
    affinitySeconds: affinitySeconds(spec),
    externalTrafficPolicy: policy(spec.at('externalTrafficPolicy')),
    internalTrafficPolicy: policy(spec.at('internalTrafficPolicy')),
    healthCheckNodePort: portNumber(spec.at('healthCheckNodePort')) ?? 0,
    ...(distribution === undefined ? {} : { trafficDistribution: distribution }),
    publishNotReadyAddresses: spec.at('publishNotReadyAddresses').flag() ?? false,
    ...(algorithm === undefined ? {} : { algorithm }),
    ...(size === undefined ? {} : { tableSize: size }),
    ...(forwarding === undefined ? {} : { forwarding }),
    ...(capacity === undefined ? {} : { zoneCapacity: capacity }),
    annotations: annotations.texts(),
  }
}

export function parseProtocol(field: ObjectField): ServiceProtocol {
  return oneOf(field, PROTOCOLS) ?? 'TCP'
}

/** From 1 to 65535; undefined when absent or 0, which stands for none. */
export function portNumber(field: ObjectField): number | undefined {
  const { value } = field
  if (field.absent || value === 0) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535) return value
  return field.fail(`must be a port from 1 to 65535, not ${JSON.stringify(value)}`)
}

function oneOf<const W extends string>(field: ObjectField, words: readonly W[]): W | undefined {
  if (isEmpty(field)) return undefined
  return words.find(word => word === field.value) ?? field.fail(`must be one of ${words.join(', ')}`)
}

function policy(field: ObjectField): TrafficPolicy {
  return oneOf(field, POLICIES) ?? 'Cluster'
}

/** PreferClose is the older name of PreferSameZone; distributions of others mean nothing here and are no error. */
function distributionOf(field: ObjectField): ServiceRow['trafficDistribution'] {
  const text = field.text()
  if (text === 'PreferClose' || text === 'PreferSameZone') return 'PreferSameZone'
  return text === 'PreferSameNode' ? text : undefined
}

function clusterIPs(spec: ObjectField): string[] {
  const plural = spec.at('clusterIPs')
  return addresses(plural.absent ? [spec.at('clusterIP')] : plural.items())
}

function addresses(fields: readonly ObjectField[]): string[] {
  const given = fields.filter(field => !isEmpty(field) && field.value !== HEADLESS)
  return [...new Set(given.map(field => field.converted(canonicalAddress)))]
}

/** Those of mode VIP, which is the default: what a proxy hands on has a node's address by then. */
function loadBalancerIPs(status: ObjectField): string[] {
  const ingress = status.at('loadBalancer').at('ingress').items()
  const direct = ingress.filter(item => (oneOf(item.at('ipMode'), IP_MODES) ?? 'VIP') === 'VIP')
  return addresses(direct.map(item => item.at('ip')))
}

function parsePort(port: ObjectField): ServicePort {
  return {
    name: port.at('name').text() ?? '',
    protocol: parseProtocol(port.at('protocol')),
    port: portNumber(port.at('port')) ?? port.at('port').fail('is missing'),
    nodePort: portNumber(port.at('nodePort')) ?? 0,
  }
}

function affinitySeconds(spec: ObjectField): number {
  if (oneOf(spec.at('sessionAffinity'), AFFINITIES) !== 'ClientIP') return 0
  const field = spec.at('sessionAffinityConfig').at('clientIP').at('timeoutSeconds')
  if (field.absent) return DEFAULT_AFFINITY_SECONDS
  const seconds = field.numeric()
  if (Number.isInteger(seconds) && seconds > 0 && seconds <= LONGEST_AFFINITY_SECONDS) return seconds
  return field.fail(`must be a number of seconds from 1 to ${LONGEST_AFFINITY_SECONDS}`)
}

function tableSize(field: ObjectField): TableSize | undefined {
  if (isEmpty(field)) return undefined
  return TABLE_SIZES.find(size => `${size}` === field.value) ?? field.fail(`must be one of ${TABLE_SIZES.join(', ')}`)
}

function zoneCapacity(field: ObjectField): number | undefined {
  if (isEmpty(field)) return undefined
  const flows = field.numeric()
  return Number.isInteger(flows) && flows >= 1 ? flows : field.fail('must be a number of flows from 1')
}
