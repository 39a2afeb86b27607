/**
 * Kubernetes objects → rows. Every source uses these functions, whatever it reads the objects from. Only the fields
 * that are used are looked at; the rest may have any form.
 */
import { canonicalAddress, canonicalPrefix, familyOf } from '../kernel/ip.ts'
import type { EgressPolicyRow, NamespaceRow } from '../state/egress-rows.ts'
import type { EndpointSliceRow, ServiceRow } from '../state/service-rows.ts'
import type { NetworkPolicyRow, PodRow } from '../state/tables.ts'
import { ANNOTATION } from './annotations.ts'
import { type NodeNetwork, type NodeObject, parseNodeNetwork } from './join-node.ts'
import { ObjectError, type ObjectField } from './object-field.ts'
import { isEmpty, objectName, objectNamespace } from './object-name.ts'
import { type CloudSpec, parseCloudSpec } from './parse-cloud-spec.ts'
import { parseEgressPolicy } from './parse-egress-policy.ts'
import { parseEndpointSlice } from './parse-endpoint-slice.ts'
import { parseNodePlace } from './parse-node-place.ts'
import { parseService } from './parse-service.ts'
import { isServed } from './served.ts'

export type ParsedObject =
  | { readonly kind: 'Node'; readonly place: string; readonly row: NodeObject }
  | { readonly kind: 'Pod'; readonly place: string; readonly row: PodRow }
  | { readonly kind: 'Service'; readonly place: string; readonly row: ServiceRow }
  | { readonly kind: 'EndpointSlice'; readonly place: string; readonly row: EndpointSliceRow }
  | { readonly kind: 'Namespace'; readonly place: string; readonly row: NamespaceRow }
  | { readonly kind: 'NodeNetwork'; readonly place: string; readonly row: NodeNetwork; readonly cloud?: CloudSpec }
  | { readonly kind: 'NetworkPolicy'; readonly place: string; readonly row: NetworkPolicyRow }
  | { readonly kind: 'EgressPolicy'; readonly place: string; readonly row: EgressPolicyRow }
  /** A kind that is not used, `apiVersion` and `kind` as `v1 Secret`. */
  | { readonly kind: 'unused'; readonly name: string }

/**
 * The rows of an object, or of the items of a list (`List`, or such as `PodList`, whose items carry no kind of their
 * own). A bad item does not hide the others: what is wrong comes out as an ObjectError in its place.
 */
export function parseObjects(object: ObjectField): (ParsedObject | ObjectError)[] {
  if (typeof object.value !== 'object') return [attempt(object)]
  const kind = object.at('kind')
  if (typeof kind.value !== 'string' || !kind.value.endsWith('List')) return [attempt(object)]
  const of = kind.value.slice(0, -'List'.length)
  const list = of === '' ? undefined : { kind: of, version: object.at('apiVersion').text() }
  return object
    .at('items')
    .items()
    .map(item => attempt(item, list))
}

function attempt(
  object: ObjectField,
  list?: { kind: string; version: string | undefined },
): ParsedObject | ObjectError {
  try {
    const kind = object.at('kind').text() ?? list?.kind
    if (!kind) object.fail('has no kind; a Kubernetes object has apiVersion and kind')
    const version = object.at('apiVersion').text() ?? list?.version ?? object.fail('has no apiVersion')
    return parseKind(object, version, kind)
  } catch (error) {
    if (error instanceof ObjectError) return error
    throw error
  }
}

function parseKind(object: ObjectField, version: string, kind: string): ParsedObject {
  const { place } = object
  switch (`${version} ${kind}`) {
    case 'v1 Node':
      return { kind: 'Node', place, row: parseNode(object) }
    case 'v1 Pod':
      return { kind: 'Pod', place, row: parsePod(object) }
    case 'v1 Service':
      if (!isServed(object)) return { kind: 'unused', name: 'Service of another proxy' }
      return { kind: 'Service', place, row: parseService(object) }
    case 'v1 Namespace':
      return { kind: 'Namespace', place, row: parseNamespace(object) }
    case 'networking.k8s.io/v1 NetworkPolicy':
      return { kind: 'NetworkPolicy', place, row: parseNetworkPolicy(object) }
    case 'causeway.dev/v1alpha1 NodeNetwork':
      return { kind: 'NodeNetwork', place, row: parseNodeNetwork(object), ...cloudOf(object) }
    case 'causeway.dev/v1alpha1 EgressPolicy':
      return { kind: 'EgressPolicy', place, row: parseEgressPolicy(object) }
    case 'discovery.k8s.io/v1 EndpointSlice': {
      if (!isServed(object)) return { kind: 'unused', name: 'EndpointSlice of a headless service or another proxy' }
      const row = parseEndpointSlice(object)
      return row === undefined
        ? { kind: 'unused', name: 'EndpointSlice of names' }
        : { kind: 'EndpointSlice', place, row }
    }
    default:
      return { kind: 'unused', name: `${version} ${kind}` }
  }
}

function cloudOf(network: ObjectField): { readonly cloud?: CloudSpec } {
  const cloud = parseCloudSpec(network)
  return cloud === undefined ? {} : { cloud }
}

export function parseNode(object: ObjectField): NodeObject {
  const spec = object.at('spec')
  const plural = spec.at('podCIDRs')
  const cidrs = plural.absent ? [spec.at('podCIDR')] : plural.items()
  const addresses = object.at('status').at('addresses')
  const external = addressesOf(addresses, 'ExternalIP')
  return {
    name: objectName(object),
    addresses: firstOfEachFamily(addressesOf(addresses, 'InternalIP')),
    ...(external.length > 0 && { externalAddresses: external }),
    podCidrs: unique(cidrs.filter(field => !isEmpty(field)).map(field => field.converted(canonicalPrefix))),
    labels: object.at('metadata').at('labels').texts(),
    ...(isNotReady(object.at('status')) && { notReady: true }),
    ...parseNodePlace(object),
  }
}

function addressesOf(list: ObjectField, type: 'InternalIP' | 'ExternalIP'): string[] {
  const items = list.items().filter(item => item.at('type').text() === type)
  return unique(items.map(item => item.at('address').converted(canonicalAddress)))
}

/** In the kubelet's own order. */
function firstOfEachFamily(addresses: readonly string[]): string[] {
  return addresses.filter((address, n) => addresses.findIndex(other => familyOf(other) === familyOf(address)) === n)
}

/** The kubelet has said so, or has said nothing for a while; a node without the condition says nothing of it. */
function isNotReady(status: ObjectField): boolean {
  const ready = status
    .at('conditions')
    .items()
    .find(item => item.at('type').text() === 'Ready')
  return ready !== undefined && ready.at('status').text() !== 'True'
}

export function parseNetworkPolicy(object: ObjectField): NetworkPolicyRow {
  return { namespace: objectNamespace(object), name: objectName(object) }
}

export function parseNamespace(object: ObjectField): NamespaceRow {
  return { name: objectName(object), labels: object.at('metadata').at('labels').texts(), ...fallbackOf(object) }
}

/** Anything but `true` is a no. */
function fallbackOf(object: ObjectField): { readonly fallbackPool?: boolean } {
  const wish = object.at('metadata').at('annotations').at(ANNOTATION.fallbackPool)
  return wish.absent ? {} : { fallbackPool: wish.value === 'true' }
}

export function parsePod(object: ObjectField): PodRow {
  const metadata = object.at('metadata')
  const spec = object.at('spec')
  return {
    namespace: objectNamespace(object),
    name: objectName(object),
    uid: metadata.at('uid').text() ?? '',
    nodeName: spec.at('nodeName').text() ?? '',
    addresses: podAddresses(object.at('status')),
    hostNetwork: spec.at('hostNetwork').flag() ?? false,
    labels: metadata.at('labels').texts(),
    ...(isEnding(object) && { ending: true }),
    ...fallbackOf(object),
  }
}

/** Whether nothing is started for it any more. */
function isEnding(pod: ObjectField): boolean {
  return hasEnded(pod.at('status')) || !pod.at('metadata').at('deletionTimestamp').absent
}

function hasEnded(status: ObjectField): boolean {
  const phase = status.at('phase').text()
  return phase === 'Succeeded' || phase === 'Failed'
}

/** A pod that has ended keeps its addresses in its status, though others may have them by now. */
function podAddresses(status: ObjectField): string[] {
  if (hasEnded(status)) return []
  const plural = status.at('podIPs')
  const fields = plural.absent ? [status.at('podIP')] : plural.items().map(item => item.at('ip'))
  return unique(fields.filter(field => !isEmpty(field)).map(field => field.converted(canonicalAddress)))
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}
