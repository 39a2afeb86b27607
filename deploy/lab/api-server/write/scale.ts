/** The subresource `scale`: how many replicas there are and shall be, the same for every kind. */
import { type Answer, type Call, objectAnswer } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Stored } from '../objects/collection.ts'
import { asText, isObject, type Json, type JsonObject, objectAt, valueAt } from '../objects/json.ts'
import { treeOf } from '../objects/store.ts'
import { existing } from '../read/get.ts'
import { badRequest, noSuchPath } from '../status.ts'
import { readBody } from './body.ts'
import { commitUpdate } from './commit.ts'

export function getScale(cluster: Cluster, call: Call): Answer {
  return objectAnswer(scaleOf(call.resource, existing(cluster, call)))
}

export function updateScale(cluster: Cluster, call: Call): Answer {
  return setReplicas(cluster, call, readBody(call))
}

/** Sets the replicas that a Scale asks for. */
export function setReplicas(cluster: Cluster, call: Call, scale: Json): Answer {
  const replicas = valueAt(scale, 'spec', 'replicas') ?? 0
  if (typeof replicas !== 'number') throw badRequest('spec.replicas must be a number')
  const stored = existing(cluster, call)
  const object = treeOf(stored)
  put(object, pathOf(call.resource.scale?.specReplicasPath), replicas)
  commitUpdate(cluster, { ...call, route: { ...call.route, subresource: '' } }, stored, object)
  return getScale(cluster, call)
}

export function scaleOf(resource: Resource, stored: Stored): JsonObject {
  if (resource.scale === undefined) throw noSuchPath()
  const object = treeOf(stored)
  const at = (path: string): Json | undefined => valueAt(object, ...pathOf(path))
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: stored.name,
      namespace: stored.namespace === '' ? undefined : stored.namespace,
      uid: stored.uid,
      resourceVersion: `${stored.revision}`,
      creationTimestamp: object.metadata.creationTimestamp,
    },
    spec: { replicas: at(resource.scale.specReplicasPath) ?? 0 },
    status: {
      replicas: at(resource.scale.statusReplicasPath) ?? 0,
      selector: selectorText(at(resource.scale.labelSelectorPath)),
    },
  }
}

function selectorText(selector: Json | undefined): string | undefined {
  if (typeof selector === 'string') return selector
  if (!isObject(selector)) return undefined
  return Object.entries(objectAt(selector, 'matchLabels'))
    .map(([name, value]) => `${name}=${asText(value)}`)
    .join(',')
}

function pathOf(path: string | undefined): string[] {
  return (path ?? '').split('.').filter(name => name !== '')
}

function put(object: JsonObject, path: readonly string[], value: Json): void {
  const [name = '', ...rest] = path
  if (rest.length === 0) object[name] = value
  else {
    const inner = object[name]
    const target = isObject(inner) ? inner : {}
    object[name] = target
    put(target, rest, value)
  }
}
