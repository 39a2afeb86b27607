/** Who wrote which field: `metadata.managedFields`, kept on every write. */
import type { Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import { equal, isObject, type JsonObject, textAt } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { type FieldPath, fieldsOf, type FieldSet, readFields, valueOf, writeFields } from './field-set.ts'

export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  /** Empty for the object itself. */
  readonly subresource: string
}

/** One manager with what it manages. */
export interface Managed extends Manager {
  readonly apiVersion: string
  readonly time: string
  readonly fields: FieldSet
}

/** Of metadata, what is the server's own. */
const OWN = 'name namespace uid resourceVersion generation creationTimestamp managedFields selfLink generateName'
  .concat(' deletionTimestamp deletionGracePeriodSeconds')
  .split(' ')

/** Everything in an object that somebody can be said to manage by a request for this subresource. */
export function manageable({ resource, route }: Call, object: KubeObject): Map<string, FieldPath> {
  const { kind: _kind, apiVersion: _apiVersion, metadata, ...rest } = object
  const own = Object.fromEntries(Object.entries(metadata).filter(([name]) => !OWN.includes(name)))
  const all = fieldsOf(Object.keys(own).length === 0 ? rest : { metadata: own, ...rest }, resource.shape)
  if (!resource.status) return all
  const ofStatus = route.subresource === 'status'
  return filterPaths(all, path => (path[0] === 'f:status') === ofStatus)
}

function filterPaths(set: FieldSet, keeps: (path: FieldPath) => boolean): Map<string, FieldPath> {
  return new Map([...set].filter(([, path]) => keeps(path)))
}

export function readManaged(object: KubeObject | undefined): Managed[] {
  return (object?.metadata.managedFields ?? []).filter(isObject).flatMap(entry => {
    const name = textAt(entry, 'manager')
    if (name === '') return []
    return {
      name,
      operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
      subresource: textAt(entry, 'subresource'),
      apiVersion: textAt(entry, 'apiVersion'),
      time: textAt(entry, 'time'),
      fields: readFields(entry['fieldsV1']),
    } as const
  })
}

/** Puts the managers into an object; who manages nothing is left out. */
export function writeManaged(object: KubeObject, managed: readonly Managed[]): void {
  const entries: JsonObject[] = managed
    .filter(({ fields }) => fields.size > 0)
    .map(({ name, operation, subresource, apiVersion, time, fields }) => ({
      manager: name,
      operation,
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: writeFields(fields),
      ...(subresource === '' ? {} : { subresource }),
    }))
  if (entries.length === 0) delete object.metadata.managedFields
  else object.metadata.managedFields = entries
}

export function isSame(a: Manager, b: Manager): boolean {
  return a.name === b.name && a.operation === b.operation && a.subresource === b.subresource
}

/** Who asks: as they call themselves, or as their program does (k8s.io/apiserver managerOrUserAgent). */
function managerOf(call: Call): string {
  return (call.query.get('fieldManager') ?? '') || (call.userAgent.split('/')[0] ?? '') || 'unknown'
}

/** Notes in an object that is about to be written what this request changes, other than by apply. */
export function trackUpdate(cluster: Cluster, call: Call, was: KubeObject | undefined, object: KubeObject): void {
  const [sent] = object.metadata.managedFields ?? []
  const clears = sent !== undefined && Object.keys(sent).length === 0
  const before = clears ? [] : readManaged(was)
  const have = was === undefined ? new Map<string, FieldPath>() : manageable(call, was)
  const want = manageable(call, object)
  const changed = filterPaths(want, path => !equal(valueOf(was, path), valueOf(object, path)))
  const removed = filterPaths(have, path => valueOf(object, path) === undefined)
  if (was !== undefined && !clears && changed.size === 0 && removed.size === 0) {
    if (was.metadata.managedFields === undefined) delete object.metadata.managedFields
    else object.metadata.managedFields = was.metadata.managedFields
    return
  }
  const me: Manager = { name: managerOf(call), operation: 'Update', subresource: call.route.subresource }
  const others = before
    .filter(entry => !isSame(entry, me))
    .map(entry => without(entry, key => changed.has(key) || removed.has(key)))
  const mine = before.find(entry => isSame(entry, me))
  const kept = mine === undefined ? [] : [...mine.fields].filter(([key]) => !removed.has(key))
  const fields = new Map([...kept, ...changed])
  writeManaged(object, [...others, { ...me, apiVersion: apiVersionOf(call.resource), time: cluster.now(), fields }])
}

export function without(entry: Managed, gone: (key: string) => boolean): Managed {
  return { ...entry, fields: new Map([...entry.fields].filter(([key]) => !gone(key))) }
}
