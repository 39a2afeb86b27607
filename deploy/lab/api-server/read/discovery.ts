/** What the server has, as clients ask it: groups, their resources, all of them at once, and its version. */
import type { Registry } from '../kinds/registry.ts'
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import type { JsonObject } from '../objects/json.ts'

/** The version whose behaviour this server follows. */
export const VERSION: JsonObject = {
  major: '1',
  minor: '35',
  gitVersion: 'v1.35.0',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2025-12-17T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

const AGGREGATED = /as=APIGroupDiscoveryList/

/** The answer to a path of discovery, with its type; undefined for a path that is none. */
export function discover(
  registry: Registry,
  path: string,
  accept: string,
): { body: JsonObject; type: string } | undefined {
  const parts = path.split('/').filter(part => part !== '')
  const [root, first, second] = parts
  if ((root === 'api' || root === 'apis') && parts.length === 1 && AGGREGATED.test(accept))
    return { body: aggregated(registry, root === 'api'), type: AGGREGATED_TYPE }
  const body = plain(registry, root ?? '', first, second, parts.length)
  return body === undefined ? undefined : { body, type: 'application/json' }
}

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

function plain(
  registry: Registry,
  root: string,
  first: string | undefined,
  second: string | undefined,
  length: number,
): JsonObject | undefined {
  if (root === 'api' && length === 1) return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (root === 'api' && length === 2 && first === 'v1') return resourceList(registry, '', 'v1')
  if (root === 'apis' && length === 1)
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: registry
        .groups()
        .filter(g => g.group !== '')
        .map(groupOf),
    }
  if (root !== 'apis' || first === undefined) return undefined
  const group = registry.groups().find(g => g.group === first)
  if (group === undefined) return undefined
  if (length === 2) return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
  if (length === 3 && second !== undefined && group.versions.includes(second))
    return resourceList(registry, first, second)
  return undefined
}

function groupOf({ group, versions }: { group: string; versions: readonly string[] }): JsonObject {
  const each = versions.map(version => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions: each, preferredVersion: each[0] ?? null }
}

function verbsOf(resource: Resource): string[] {
  if (resource.virtual) return ['create']
  return ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
}

interface Subresource {
  readonly name: string
  readonly kind: string
  readonly group: string
  readonly version: string
}

/** What is asked of an object by POST. */
const ORDERS: Readonly<Record<string, readonly Subresource[]>> = {
  '/pods': [
    { name: 'binding', kind: 'Binding', group: '', version: 'v1' },
    { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1' },
  ],
  '/serviceaccounts': [{ name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1' }],
}

function subresources(resource: Resource): (Subresource & { verbs: string[] })[] {
  const { kind, group, version } = resource
  const parts: Subresource[] = []
  if (resource.status) parts.push({ name: 'status', kind, group, version })
  if (resource.scale !== undefined) parts.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1' })
  return [
    ...(ORDERS[`${group}/${resource.plural}`] ?? []).map(order => ({ ...order, verbs: ['create'] })),
    ...parts.map(part => ({ ...part, verbs: ['get', 'patch', 'update'] })),
  ]
}

function resourceList(registry: Registry, group: string, version: string): JsonObject {
  const resources: JsonObject[] = registry.of(group, version).flatMap(resource => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.kind,
      verbs: verbsOf(resource),
      ...(resource.shortNames.length === 0 ? {} : { shortNames: [...resource.shortNames] }),
      ...(resource.categories.length === 0 ? {} : { categories: [...resource.categories] }),
    },
    ...subresources(resource).map(sub => ({
      name: `${resource.plural}/${sub.name}`,
      singularName: '',
      namespaced: resource.namespaced,
      ...(sub.kind === resource.kind ? {} : { group: sub.group, version: sub.version }),
      kind: sub.kind,
      verbs: sub.verbs,
    })),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources }
}

/** All groups with all resources (apidiscovery.k8s.io/v2). */
function aggregated(registry: Registry, core: boolean): JsonObject {
  const groups = registry.groups().filter(({ group }) => (group === '') === core)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
      versions: versions.map(version => ({
        version,
        freshness: 'Current',
        resources: registry.of(group, version).map(resource => aggregatedResource(resource)),
      })),
    })),
  }
}

function aggregatedResource(resource: Resource): JsonObject {
  const { group, version, kind } = resource
  return {
    resource: resource.plural,
    responseKind: { group, version, kind },
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: verbsOf(resource),
    shortNames: [...resource.shortNames],
    categories: [...resource.categories],
    subresources: subresources(resource).map(sub => ({
      subresource: sub.name,
      responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
      verbs: sub.verbs,
    })),
  }
}
