/** Objects of the API server → the operator's rows. Throws ObjectError. */
import { parseAssigned } from '../cluster/join-node.ts'
import { parseNodeSettings } from '../cluster/node-settings.ts'
import type { ObjectField } from '../cluster/object-field.ts'
import { objectName, objectNamespace } from '../cluster/object-name.ts'
import { parseEgressPolicy, parseSelector } from '../cluster/parse-egress-policy.ts'
import { parseNode } from '../cluster/parse.ts'
import { addressIn, canonicalPrefix, covers, formatPrefix, parsePrefix, widthOf } from '../kernel/ip.ts'
import type {
  ClusterNodeRow,
  IpPoolRow,
  NetworkPolicyName,
  NodeNetworkRow,
  OwnObject,
  PolicyRow,
  PoolRange,
  ServiceAddressesRow,
  ServiceRangeRow,
  SettingsRow,
} from './rows.ts'

/** Nodes may be registered with it, so that nothing is scheduled before their network is there. */
export const NOT_READY_TAINT = 'causeway.dev/not-ready'
/** On nodes that have no address of the cloud left for a pod, where that is configured. */
export const NO_ADDRESSES_TAINT = 'causeway.dev/no-addresses'
/** What pods may request so that the scheduler counts addresses of the cloud (Kubernetes, "Extended resources"). */
export const ADDRESSES_RESOURCE = 'causeway.dev/addresses'
export const NETWORK_UNAVAILABLE = 'NetworkUnavailable'

export function parseClusterNode(object: ObjectField): ClusterNodeRow {
  const { name, labels, podCidrs, addresses, externalAddresses = [], notReady = false } = parseNode(object)
  const taints = object.at('spec').at('taints').items()
  const status = object.at('status')
  return {
    name,
    uid: uidOf(object),
    created: createdOf(object),
    labels,
    addresses: [...addresses, ...externalAddresses],
    notReady,
    podCidrs,
    tainted: taints.some(taint => taint.at('key').text() === NOT_READY_TAINT),
    networkUnavailable: conditionOf(status, NETWORK_UNAVAILABLE),
    bootId: status.at('nodeInfo').at('bootID').text() ?? '',
    providerId: object.at('spec').at('providerID').text() ?? '',
    maxPods: podsOf(status.at('capacity').at('pods')),
    addressCapacity: quantityOf(status.at('capacity').at(ADDRESSES_RESOURCE)),
    withoutAddresses: taints.some(taint => taint.at('key').text() === NO_ADDRESSES_TAINT),
  }
}

export function parseNetwork(object: ObjectField): NodeNetworkRow {
  const metadata = object.at('metadata')
  const owner = metadata
    .at('ownerReferences')
    .items()
    .find(item => item.at('kind').text() === 'Node')
  const status = object.at('status')
  return {
    ...parseAssigned(object),
    uid: uidOf(object),
    created: createdOf(object),
    nodeUid: owner?.at('uid').text() ?? '',
    pool: object.at('spec').at('pool').text() ?? '',
    ready: conditionOf(status, 'Ready') === 'True',
    bootId: status.at('bootId').text() ?? '',
  }
}

/** kubelet's own limit where it has said nothing. */
const DEFAULT_PODS = 110

/** A quantity without a unit (Kubernetes API, resource.Quantity). */
function podsOf(capacity: ObjectField): number {
  const { value } = capacity
  const count = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isSafeInteger(count) && count > 0 ? count : DEFAULT_PODS
}

function quantityOf({ value }: ObjectField): string {
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : ''
}

/** The schema of the kind cannot compare its fields: whether a range can be handed out as it says is checked here. */
export function parseIpPool(object: ObjectField): IpPoolRow {
  const spec = object.at('spec')
  const ranges = spec.at('cidrs').items().map(parseRange)
  const prefixes = ranges.map(range => parsePrefix(range.cidr))
  for (const [n, prefix] of prefixes.entries()) {
    const other = prefixes.slice(0, n).find(earlier => covers(earlier, prefix) || covers(prefix, earlier))
    if (other) spec.at('cidrs').fail(`${formatPrefix(prefix)} overlaps ${formatPrefix(other)} of the same pool`)
  }
  return {
    ...ownObject(object),
    created: createdOf(object),
    priority: spec.at('priority').whole() ?? 0,
    nodes: parseSelector(spec.at('nodeSelector')),
    ranges,
  }
}

function parseRange(item: ObjectField): PoolRange {
  const cidr = item.at('cidr').converted(canonicalPrefix)
  const prefix = parsePrefix(cidr)
  const length = item.at('nodePrefixLength')
  const nodePrefixLength = length.whole() ?? defaultLength(prefix)
  if (nodePrefixLength < prefix.length || nodePrefixLength > widthOf(prefix.family))
    length.fail(`must be from ${prefix.length}, the length of the range, to ${widthOf(prefix.family)}`)
  return { cidr, nodePrefixLength }
}

/** As kube-controller-manager has it: 254 pods, or a network of its own. */
function defaultLength({ family, length }: { readonly family: 4 | 6; readonly length: number }): number {
  return Math.max(length, family === 4 ? 24 : 64)
}

export function parseSettings(object: ObjectField): SettingsRow {
  return { ...parseNodeSettings(object), ...ownObject(object) }
}

export function parsePolicy(object: ObjectField): PolicyRow {
  return { ...parseEgressPolicy(object), ...ownObject(object) }
}

/** Those of a load balancer may be addresses of nodes: they say nothing of what is free. */
export function parseServiceAddresses(object: ObjectField): ServiceAddressesRow | undefined {
  const texts = object.at('spec').at('clusterIPs').items()
  // Of a headless service it is `None`; what cannot be read is the daemons' business.
  const addresses = texts.flatMap(({ value }) => (typeof value === 'string' ? (addressIn(value) ?? []) : []))
  if (addresses.length === 0) return undefined
  return { namespace: objectNamespace(object), name: objectName(object), addresses }
}

export function parseServiceRange(object: ObjectField): ServiceRangeRow {
  const cidrs = object.at('spec').at('cidrs').items()
  return { name: objectName(object), cidrs: cidrs.map(cidr => cidr.converted(canonicalPrefix)) }
}

export function parsePolicyName(object: ObjectField): NetworkPolicyName {
  return { namespace: objectNamespace(object), name: objectName(object), uid: uidOf(object) }
}

function ownObject(object: ObjectField): OwnObject {
  const generation = object.at('metadata').at('generation').whole() ?? 0
  return { name: objectName(object), uid: uidOf(object), generation }
}

function createdOf(object: ObjectField): string {
  return object.at('metadata').at('creationTimestamp').text() ?? ''
}

function uidOf(object: ObjectField): string {
  return object.at('metadata').at('uid').text() ?? ''
}

/** Status of a condition; empty when there is none. */
function conditionOf(status: ObjectField, type: string): string {
  const condition = status
    .at('conditions')
    .items()
    .find(item => item.at('type').text() === type)
  return condition?.at('status').text() ?? ''
}
