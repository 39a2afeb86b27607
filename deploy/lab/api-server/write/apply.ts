/**
 * Server-side apply: the client says all it wants of an object, and the server merges that with what others want
 * (kubernetes documentation, "Server-Side Apply"; sigs.k8s.io/structured-merge-diff).
 */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import type { Shape } from '../kinds/shape.ts'
import { cause } from '../kinds/validate.ts'
import { copy, equal, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { asKubeObject, type KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import { isTrue } from '../serve/route.ts'
import { ApiError, badRequest, conflict, invalid, notFound } from '../status.ts'
import { checkKind, readBody } from './body.ts'
import { commitNew, commitUpdate } from './commit.ts'
import { giveName } from './create.ts'
import { keyOf, pathText, removeAt, valueOf } from './field-set.ts'
import { isSame, type Managed, manageable, type Manager, readManaged, without, writeManaged } from './managed-fields.ts'
import { memberShape } from './strategic-merge.ts'
import { checkVersion } from './update.ts'

/** PATCH by an apply configuration. @throws ApiError 409 with every field that somebody else manages */
export function apply(cluster: Cluster, call: Call): Answer {
  const { resource, route, query } = call
  const applied = readApplied(call)
  const me: Manager = { name: query.get('fieldManager') ?? '', operation: 'Apply', subresource: route.subresource }
  if (me.name === '')
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      cause('Required', 'fieldManager', 'Required value: is required for apply patch'),
    ])
  const stored = cluster.store.get(resource, route.namespace, route.name)
  if (stored === undefined) return applyNew(cluster, call, me, applied)
  checkVersion(resource, stored, applied)
  const was: KubeObject = { kind: resource.kind, apiVersion: apiVersionOf(resource), ...treeOf(stored) }
  return commitUpdate(cluster, call, stored, mergeApplied(cluster, call, me, was, applied))
}

function readApplied(call: Call): KubeObject {
  const applied = asKubeObject(readBody({ ...call, contentType: 'application/yaml' }))
  if (applied === undefined) throw badRequest('error decoding YAML: an object is applied')
  checkKind(call, applied)
  if (applied.kind === undefined || applied.apiVersion === undefined) throw badRequest('invalid object type: /, Kind=')
  if ((applied.metadata.name || call.route.name) !== call.route.name)
    throw badRequest('the name of the object does not match the name on the URL')
  if ((applied.metadata.managedFields ?? []).length > 0) throw badRequest('metadata.managedFields must be nil')
  applied.metadata.name = call.route.name
  return applied
}

function applyNew(cluster: Cluster, call: Call, me: Manager, applied: KubeObject): Answer {
  const { resource, route } = call
  if (route.subresource !== '') throw notFound(resource, route.name)
  if (applied.metadata.uid) {
    const why = `uid mismatch: the provided object specified uid ${applied.metadata.uid}, and no existing object was found`
    throw conflict(resource, route.name, why)
  }
  giveName(cluster, call, applied)
  writeManaged(applied, [mine(cluster, call, me, applied)])
  return commitNew(cluster, call, applied)
}

function mine(cluster: Cluster, call: Call, me: Manager, applied: KubeObject): Managed {
  const apiVersion = apiVersionOf(call.resource)
  return { ...me, apiVersion, time: cluster.now(), fields: manageable(call, applied) }
}

/** The object as it is with what is applied in it, and what was applied before and no longer is out of it. */
function mergeApplied(cluster: Cluster, call: Call, me: Manager, was: KubeObject, applied: KubeObject): KubeObject {
  const before = readManaged(was)
  const entry = mine(cluster, call, me, applied)
  const others = before.filter(other => !isSame(other, me))
  const contested = conflictsOf(was, applied, entry, others)
  if (contested.length > 0 && !isTrue(call.query.get('force'))) throw conflictError(contested)
  const kept = copy(was)
  const previous = before.find(other => isSame(other, me))
  for (const [key, path] of previous?.fields ?? [])
    if (!entry.fields.has(key) && !others.some(other => other.fields.has(key))) removeAt(kept, path)
  // Last, so that what is applied as empty is there.
  const merged = mergeValue(kept, applied, call.resource.shape) as KubeObject
  const lost = new Set(contested.map(({ key }) => key))
  writeManaged(merged, [...others.map(other => without(other, key => lost.has(key))), entry])
  return unchangedKept(was, merged)
}

/** An object that only the time of its last apply would change stays as it is. */
function unchangedKept(was: KubeObject, merged: KubeObject): KubeObject {
  const timeless = (object: KubeObject): Json => {
    const managed = (object.metadata.managedFields ?? []).map(({ time: _time, ...rest }) => rest)
    return JSON.parse(JSON.stringify({ ...object, metadata: { ...object.metadata, managedFields: managed } })) as Json
  }
  return equal(timeless(was), timeless(merged)) ? copy(was) : merged
}

interface Contested {
  readonly key: string
  readonly path: string
  readonly manager: string
  readonly apiVersion: string
}

/** Fields that others manage and that would get another value. */
function conflictsOf(was: KubeObject, applied: KubeObject, entry: Managed, others: readonly Managed[]): Contested[] {
  return [...entry.fields].flatMap(([key, path]) => {
    if (equal(valueOf(was, path), valueOf(applied, path))) return []
    return others
      .filter(other => other.fields.has(key))
      .map(other => ({ key, path: pathText(path), manager: other.name, apiVersion: other.apiVersion }))
  })
}

function conflictError(contested: readonly Contested[]): ApiError {
  const managers = [...new Set(contested.map(({ manager, apiVersion }) => `"${manager}" using ${apiVersion}`))]
  const each = managers.map(manager => {
    const paths = contested.filter(c => `"${c.manager}" using ${c.apiVersion}` === manager).map(c => c.path)
    const [only] = paths
    return paths.length === 1
      ? `conflict with ${manager}: ${only}`
      : `conflicts with ${manager}:\n- ${paths.join('\n- ')}`
  })
  const count = contested.length
  const message = `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${each.join('\n')}`
  const causes = contested.map(({ path, manager, apiVersion }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with "${manager}" using ${apiVersion}`,
    field: path,
  }))
  return new ApiError(409, 'Conflict', message, { details: { causes } })
}

/** What is applied goes into what is there, lists entry by entry where the shape says so. */
function mergeValue(have: Json | undefined, want: Json, shape: Shape | undefined): Json {
  if (isObject(want)) {
    if (!isObject(have) || shape?.atomic === true) return copy(want)
    const merged: JsonObject = { ...have }
    for (const [member, value] of Object.entries(want))
      if (value !== undefined) merged[member] = mergeValue(have[member], value, memberShape(shape, member))
    return copy(merged)
  }
  if (!Array.isArray(want) || !Array.isArray(have)) return copy(want)
  const { keys } = shape ?? {}
  if (keys !== undefined) return mergeEntries(have, want, keys, shape?.items)
  if (shape?.set === true) return [...have, ...want.filter(value => !have.some(known => equal(known, value)))]
  return copy(want)
}

function mergeEntries(
  have: readonly Json[],
  want: readonly Json[],
  keys: readonly string[],
  shape: Shape | undefined,
): Json[] {
  const merged = copy([...have])
  for (const entry of want) {
    const at = merged.findIndex(known => keyOf(known, keys) === keyOf(entry, keys))
    if (at < 0) merged.push(copy(entry))
    else merged[at] = mergeValue(merged[at], entry, shape)
  }
  return merged
}
