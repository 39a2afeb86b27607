/** The one way an object takes into the store: what may change is let through, the rest is set, then it is checked. */
import { randomUUID } from 'node:crypto'
import { type Answer, type Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { checkDefinition, servedStatus } from '../kinds/custom.ts'
import { prune, setDefaults } from '../kinds/prune.ts'
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import { brokenRules } from '../kinds/rules.ts'
import type { Schema } from '../kinds/schema.ts'
import { validate } from '../kinds/validate.ts'
import type { Stored } from '../objects/collection.ts'
import { copy, equal, type JsonObject } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import { represent } from '../read/represent.ts'
import { badRequest, type Cause, invalid } from '../status.ts'
import { firstStatus, setBuiltInDefaults } from './built-in-defaults.ts'
import { checkMetadata, checkNewFinalizers } from './metadata.ts'
import { remove } from './remove.ts'
import { serviceAddress } from './service-address.ts'

/** An object on its way. */
export interface Draft {
  readonly object: KubeObject
  /** The object in its place; undefined for a new one. */
  readonly before: Stored | undefined
}

/** Writes a new object, whose name and namespace are set. */
export function commitNew(cluster: Cluster, call: Call, object: KubeObject): Answer {
  const { resource } = call
  const { metadata } = object
  metadata.uid = randomUUID()
  metadata.creationTimestamp = cluster.now()
  for (const name of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'generation'])
    delete metadata[name]
  if (resource.counted) metadata.generation = 1
  resetStatus(resource, object)
  const warnings = finish(cluster, call, object, undefined)
  return store(cluster, call, { object, before: undefined }, 201, warnings)
}

/** Writes an object over one that is there. `object` is whole, whatever part of it the request may change. */
export function commitUpdate(cluster: Cluster, call: Call, before: Stored, object: KubeObject): Answer {
  const { resource, route } = call
  const was = treeOf(before)
  keepWhatIsFixed(was, object)
  keepOtherPart(resource, route.subresource, was, object)
  const warnings = finish(cluster, call, object, was)
  if (resource.counted) object.metadata.generation = generationAfter(resource, was, object)
  return store(cluster, call, { object, before }, 200, warnings)
}

/** Status belongs to whoever reports it: an object begins without one, or with that of a new object of its kind. */
function resetStatus(resource: Resource, object: KubeObject): void {
  if (!resource.status) return
  if (resource.custom !== undefined) delete object['status']
  else object['status'] = firstStatus(resource.group, resource.kind) ?? object['status'] ?? {}
}

function keepWhatIsFixed(was: KubeObject, object: KubeObject): void {
  const metadata: JsonObject = object.metadata
  for (const name of FIXED) {
    if (was.metadata[name] === undefined) delete metadata[name]
    else metadata[name] = was.metadata[name]
  }
}

/** Of the metadata, what no client changes once the object is there. */
const FIXED = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'creationTimestamp',
  'generation',
  'selfLink',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
]

/** A request for a subresource changes that alone, one for the object everything else. */
function keepOtherPart(resource: Resource, subresource: string, was: KubeObject, object: KubeObject): void {
  if (!resource.status) return
  if (subresource === 'status') {
    const { status, metadata } = object
    for (const name of Object.keys(object)) delete object[name]
    Object.assign(object, was, { metadata: resource.custom === undefined ? metadata : statusMetadata(was, metadata) })
    if (status === undefined) delete object['status']
    else object['status'] = status
  } else if (was['status'] === undefined) delete object['status']
  else object['status'] = copy(was['status'])
}

/** Of a custom resource's metadata, its status writes nothing but who manages what. */
function statusMetadata(was: KubeObject, { managedFields }: JsonObject): JsonObject {
  return managedFields === undefined ? was.metadata : { ...was.metadata, managedFields }
}

/** Defaults and checks; the answer is what the client is warned of. */
function finish(cluster: Cluster, call: Call, object: KubeObject, was: KubeObject | undefined): string[] {
  const { resource } = call
  dropEmpty(object.metadata)
  const unknown = resource.custom === undefined ? [] : prune(object, resource.custom.schema)
  const fieldValidation = call.query.get('fieldValidation') ?? 'Warn'
  if (unknown.length > 0 && fieldValidation === 'Strict')
    throw badRequest(`strict decoding error: ${unknown.map(path => `unknown field "${path}"`).join(', ')}`)
  if (resource.custom !== undefined) setDefaults(object, resource.custom.schema)
  else setBuiltInDefaults(resource.group, resource.kind, object, was, () => serviceAddress(cluster.store))
  const causes: Cause[] = checkMetadata(resource, object.metadata)
  if (was !== undefined) causes.push(...checkNewFinalizers(was.metadata, object.metadata))
  if (resource.custom !== undefined) causes.push(...checkCustom(object, was, resource.custom.schema))
  if (resource.plural === 'customresourcedefinitions') causes.push(...checkDefinition(object))
  if (causes.length > 0) throw invalid(resource, object.metadata.name ?? '', causes)
  return fieldValidation === 'Ignore' ? [] : unknown.map(path => `unknown field "${path}"`)
}

/** Rules are asked of what has the form that they rely on. */
function checkCustom(object: KubeObject, was: KubeObject | undefined, schema: Schema): Cause[] {
  const causes = validate(object, schema)
  return causes.length > 0 ? causes : brokenRules(object, was, schema)
}

/** Members of the metadata that say nothing are not kept. */
function dropEmpty(metadata: JsonObject): void {
  for (const [name, value] of Object.entries(metadata)) if (value === null || value === '') delete metadata[name]
}

function generationAfter(resource: Resource, was: KubeObject, object: KubeObject): number {
  const generation = was.metadata.generation ?? 1
  return equal(wanted(resource, was), wanted(resource, object)) ? generation : generation + 1
}

/** What is wanted: everything but metadata, and status if that is a subresource. */
function wanted(resource: Resource, object: KubeObject): JsonObject {
  const { metadata: _metadata, kind: _kind, apiVersion: _apiVersion, status, ...rest } = object
  return JSON.parse(JSON.stringify(resource.status ? rest : { ...rest, status })) as JsonObject
}

function store(cluster: Cluster, call: Call, draft: Draft, code: number, warnings: readonly string[]): Answer {
  const { resource } = call
  const { object, before } = draft
  const headers =
    warnings.length === 0 ? {} : { warning: warnings.map(text => `299 - ${JSON.stringify(text)}`).join(', ') }
  if (isDryRun(call)) return { code, headers, body: [dry(resource, object, before)] }
  if (before !== undefined && isOver(object)) {
    remove(cluster, resource, before)
    return { code, headers, body: [represent(resource, before, call.accept, cluster.now())] }
  }
  const stored = cluster.store.put(resource, object)
  if (resource.plural === 'customresourcedefinitions') return { code, headers, body: [serve(cluster, call, object)] }
  return { code, headers, body: [represent(resource, stored, call.accept, cluster.now())] }
}

/** Marked for deletion, and nobody has anything left to do about it. */
function isOver({ metadata, spec }: KubeObject): boolean {
  if (metadata.deletionTimestamp === undefined || metadata.deletionTimestamp === null) return false
  const own = spec !== undefined && equal(spec, { finalizers: ['kubernetes'] })
  return (metadata.finalizers ?? []).length === 0 && (metadata.deletionGracePeriodSeconds ?? 0) === 0 && !own
}

export function isDryRun(call: Pick<Call, 'query'>): boolean {
  const asked = call.query.getAll('dryRun')
  if (asked.some(value => value !== 'All' && value !== ''))
    throw badRequest(`invalid dry-run options: ${JSON.stringify(asked)}`)
  return asked.includes('All')
}

function dry(resource: Resource, object: KubeObject, before: Stored | undefined): Buffer {
  if (before === undefined) delete object.metadata.resourceVersion
  else object.metadata.resourceVersion = `${before.revision}`
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object
  return Buffer.from(JSON.stringify({ kind: resource.kind, apiVersion: apiVersionOf(resource), ...rest }))
}

/** What a definition defines is served from now on, and its status says so. */
function serve(cluster: Cluster, call: Call, definition: KubeObject): Buffer {
  const { resource } = call
  cluster.registry.define(definition)
  definition['status'] = servedStatus(definition, cluster.now())
  return represent(resource, cluster.store.put(resource, definition), call.accept, cluster.now())
}
