/** Objects of the API server → the operator's rows. Throws ObjectError. */
import { parseAssigned } from '../cluster/join-node.ts'
import type { ObjectField } from '../cluster/object-field.ts'
import { objectName, objectNamespace } from '../cluster/object-name.ts'
import { parseSelector } from '../cluster/parse-egress-policy.ts'
import { parseNode } from '../cluster/parse.ts'
import { canonicalPrefix, covers, formatPrefix, networkOf, parsePrefix, widthOf } from '../kernel/ip.ts'
import type { ClusterNodeRow, IpPoolRow, NetworkPolicyName, NodeNetworkRow, PoolRange } from './rows.ts'

/** Nodes may be registered with it, so that nothing is scheduled before their network is there. */
export const NOT_READY_TAINT = 'causeway.dev/not-ready'
export const NETWORK_UNAVAILABLE = 'NetworkUnavailable'

export function parseClusterNode(object: ObjectField): ClusterNodeRow {
  const { name, labels, podCidrs } = parseNode(object)
  const taints = object.at('spec').at('taints').items()
  const status = object.at('status')
  return {
    name,
    uid: uidOf(object),
    labels,
    podCidrs,
    tainted: taints.some(taint => taint.at('key').text() === NOT_READY_TAINT),
    networkUnavailable: conditionOf(status, NETWORK_UNAVAILABLE),
    bootId: status.at('nodeInfo').at('bootID').text() ?? '',
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
    created: metadata.at('creationTimestamp').text() ?? '',
    nodeUid: owner?.at('uid').text() ?? '',
    pool: object.at('spec').at('pool').text() ?? '',
    ready: conditionOf(status, 'Ready') === 'True',
    bootId: status.at('bootId').text() ?? '',
  }
}

/** The schema of the kind cannot compare its fields: whether a range can be handed out as it says is checked here. */
export function parseIpPool(object: ObjectField): IpPoolRow {
  const metadata = object.at('metadata')
  const spec = object.at('spec')
  const ranges = spec.at('cidrs').items().map(parseRange)
  const prefixes = ranges.map(range => parsePrefix(range.cidr))
  for (const [n, prefix] of prefixes.entries()) {
    const other = prefixes.slice(0, n).find(earlier => covers(earlier, prefix) || covers(prefix, earlier))
    if (other) spec.at('cidrs').fail(`${formatPrefix(prefix)} overlaps ${formatPrefix(other)} of the same pool`)
  }
  return {
    name: objectName(object),
    uid: uidOf(object),
    generation: metadata.at('generation').whole() ?? 0,
    created: metadata.at('creationTimestamp').text() ?? '',
    priority: spec.at('priority').whole() ?? 0,
    nodes: parseSelector(spec.at('nodeSelector')),
    ranges,
  }
}

function parseRange(item: ObjectField): PoolRange {
  const cidr = item.at('cidr').converted(canonicalPrefix)
  const prefix = parsePrefix(cidr)
  if (networkOf(prefix).value !== prefix.value)
    item.at('cidr').fail(`${cidr} has host bits set; use ${formatPrefix(networkOf(prefix))}`)
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

export function parsePolicyName(object: ObjectField): NetworkPolicyName {
  return { namespace: objectNamespace(object), name: objectName(object), uid: uidOf(object) }
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
