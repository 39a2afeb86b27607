/** Thousands of objects at once, for benches: no checks, no history, nothing told to watches. */
import { randomUUID } from 'node:crypto'
import type { Cluster } from './cluster.ts'
import type { Resource } from './kinds/resource.ts'
import type { KubeObject } from './objects/kube-object.ts'

/** Puts objects in as they are, giving each a uid and a time of creation if it has none. @throws on an unknown kind */
export function loadObjects(cluster: Cluster, objects: Iterable<KubeObject>): void {
  const byResource = new Map<Resource, KubeObject[]>()
  for (const object of objects) {
    const resource = cluster.registry.findKind(object.apiVersion ?? '', object.kind ?? '')
    if (resource === undefined) throw new Error(`no kind ${object.kind} in ${object.apiVersion} is served`)
    object.metadata.uid ??= randomUUID()
    object.metadata.creationTimestamp ??= cluster.now()
    const same = byResource.get(resource)
    if (same === undefined) byResource.set(resource, [object])
    else same.push(object)
  }
  for (const [resource, each] of byResource) cluster.store.load(resource, each)
}
