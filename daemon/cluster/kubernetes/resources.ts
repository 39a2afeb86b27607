/** The resources of the Kubernetes API that are used, and where they lie in it (Kubernetes API concepts, "Resource URIs"). */

export interface ApiResource {
  readonly kind: string
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly namespaced: boolean
}

/** The group of the project's own kinds. */
export const OWN_GROUP = 'causeway.dev'
/** The version of them that is read and written. */
export const OWN_VERSION = 'v1alpha1'

export const RESOURCES = {
  nodes: core('Node', 'nodes', false),
  pods: core('Pod', 'pods', true),
  services: core('Service', 'services', true),
  namespaces: core('Namespace', 'namespaces', false),
  events: core('Event', 'events', true),
  endpointSlices: {
    kind: 'EndpointSlice',
    group: 'discovery.k8s.io',
    version: 'v1',
    plural: 'endpointslices',
    namespaced: true,
  },
  networkPolicies: {
    kind: 'NetworkPolicy',
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'networkpolicies',
    namespaced: true,
  },
  serviceCidrs: {
    kind: 'ServiceCIDR',
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'servicecidrs',
    namespaced: false,
  },
  definitions: {
    kind: 'CustomResourceDefinition',
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
    namespaced: false,
  },
  leases: { kind: 'Lease', group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespaced: true },
  accessReviews: {
    kind: 'SelfSubjectAccessReview',
    group: 'authorization.k8s.io',
    version: 'v1',
    plural: 'selfsubjectaccessreviews',
    namespaced: false,
  },
  nodeNetworks: own('NodeNetwork', 'nodenetworks'),
  ipPools: own('IPPool', 'ippools'),
  nodeSettings: own('NodeSettings', 'nodesettings'),
  egressPolicies: own('EgressPolicy', 'egresspolicies'),
} as const satisfies Readonly<Record<string, ApiResource>>

function core(kind: string, plural: string, namespaced: boolean): ApiResource {
  return { kind, group: '', version: 'v1', plural, namespaced }
}

function own(kind: string, plural: string): ApiResource {
  return { kind, group: OWN_GROUP, version: OWN_VERSION, plural, namespaced: false }
}

export interface ObjectPlace {
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: string
}

/** The path of a collection, of one of its objects or of a part of that; of all namespaces when none is given. */
export function pathOf(resource: ApiResource, { namespace, name, subresource }: ObjectPlace = {}): string {
  const { group, version, plural } = resource
  const parts = [
    group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
    ...(namespace === undefined ? [] : ['namespaces', encodeURIComponent(namespace)]),
    plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ]
  return parts.join('/')
}

/** As people write it: `nodes`, `endpointslices.discovery.k8s.io`. */
export function resourceName({ plural, group }: ApiResource): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** As objects bear it: `v1`, `discovery.k8s.io/v1`. */
export function apiVersionOf({ group, version }: ApiResource): string {
  return group === '' ? version : `${group}/${version}`
}
