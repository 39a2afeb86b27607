/**
 * Schemas as OpenAPI 3 (`/openapi/v3`): enough for kubectl to see that the server checks fields itself, and to explain
 * custom resources. Kubernetes' own kinds have no fields here.
 */
import { createHash } from 'node:crypto'
import type { Registry } from '../kinds/registry.ts'
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import { type JsonObject, objectAt } from '../objects/json.ts'

const ROOT = '/openapi/v3'

/** The answer to a path under `/openapi/v3`; undefined for one that is none. */
export function openApi(registry: Registry, path: string): JsonObject | undefined {
  if (path === ROOT) return { paths: Object.fromEntries(versions(registry).map(v => [v.path, linkTo(registry, v)])) }
  const version = versions(registry).find(v => path === `${ROOT}/${v.path}`)
  return version === undefined ? undefined : documentOf(registry, version)
}

interface GroupVersion {
  readonly group: string
  readonly version: string
  /** `api/v1` or `apis/apps/v1`. */
  readonly path: string
}

function versions(registry: Registry): GroupVersion[] {
  return registry
    .groups()
    .flatMap(({ group, versions: all }) =>
      all.map(version => ({ group, version, path: group === '' ? `api/${version}` : `apis/${group}/${version}` })),
    )
}

/** Clients keep a document until its hash changes. */
function linkTo(registry: Registry, version: GroupVersion): JsonObject {
  const hash = createHash('sha256')
    .update(JSON.stringify(documentOf(registry, version)))
    .digest('hex')
  return { serverRelativeURL: `${ROOT}/${version.path}?hash=${hash.toUpperCase()}` }
}

function documentOf(registry: Registry, { group, version, path }: GroupVersion): JsonObject {
  const resources = registry.of(group, version)
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.35.0' },
    paths: Object.fromEntries(resources.flatMap(resource => pathsOf(resource, `/${path}`))),
    components: { schemas: { [METADATA]: { type: 'object' }, ...Object.fromEntries(resources.map(schemaEntry)) } },
  }
}

const METADATA = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'

function pathsOf(resource: Resource, root: string): [string, JsonObject][] {
  const place = `${root}/${resource.namespaced ? 'namespaces/{namespace}/' : ''}${resource.plural}`
  const operation = (...parameters: readonly string[]): JsonObject => ({
    parameters: parameters.map(name => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })),
    responses: { 200: { description: 'OK', content: { 'application/json': { schema: { $ref: refTo(resource) } } } } },
    'x-kubernetes-group-version-kind': gvkOf(resource),
  })
  const write = ['dryRun', 'fieldManager', 'fieldValidation']
  const post = operation(...write)
  if (resource.virtual) return [[place, { post }]]
  const item = {
    get: operation(),
    put: operation(...write),
    patch: operation(...write, 'force'),
    delete: operation('dryRun'),
  }
  return [
    [place, { get: operation(), post }],
    [`${place}/{name}`, item],
  ]
}

function gvkOf({ group, version, kind }: Resource): JsonObject {
  return { group, version, kind }
}

/** `io.k8s.api.core.v1.Pod`, or for a custom resource its group backwards. */
function nameOf(resource: Resource): string {
  const { group, version, kind, custom } = resource
  if (custom !== undefined) return `${group.split('.').reverse().join('.')}.${version}.${kind}`
  return `io.k8s.api.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`
}

function refTo(resource: Resource): string {
  return `#/components/schemas/${nameOf(resource)}`
}

function schemaEntry(resource: Resource): [string, JsonObject] {
  const raw: JsonObject = resource.custom?.raw ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const schema = {
    ...raw,
    properties: {
      ...objectAt(raw, 'properties'),
      apiVersion: { type: 'string', description: `It is ${apiVersionOf(resource)}.` },
      kind: { type: 'string', description: `It is ${resource.kind}.` },
      metadata: { allOf: [{ $ref: `#/components/schemas/${METADATA}` }], description: "Standard object's metadata." },
    },
    'x-kubernetes-group-version-kind': [gvkOf(resource)],
  }
  return [nameOf(resource), schema]
}
