/** DELETE, of one object and of all that a selection holds. */
import { type Answer, type Call, objectAnswer } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Stored } from '../objects/collection.ts'
import { type Json, listAt, objectAt, textAt, valueAt } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import { existing } from '../read/get.ts'
import { list, readPage } from '../read/list.ts'
import { readListOptions } from '../read/options.ts'
import { represent } from '../read/represent.ts'
import { badRequest, conflict, deleted, noSuchPath } from '../status.ts'
import { readOptions } from './body.ts'
import { isDryRun } from './commit.ts'
import { remove } from './remove.ts'

/** DELETE of an object: what is left of it, or that it is gone. @throws ApiError 404, 409 */
export function deleteOne(cluster: Cluster, call: Call): Answer {
  if (call.route.subresource !== '' && call.route.subresource !== 'eviction') throw noSuchPath()
  const stored = existing(cluster, call)
  const options = readOptions(call)
  checkPreconditions(call.resource, stored, options)
  const { resource } = call
  if (isDryRun(call) || listAt(options, 'dryRun').includes('All'))
    return objectAnswer(deleted(resource, stored.name, stored.uid))
  const left = deleteStored(cluster, resource, stored, how(call, options))
  if (left === undefined) return objectAnswer(deleted(resource, stored.name, stored.uid))
  return { code: 200, body: [represent(resource, left, call.accept, cluster.now())] }
}

/** DELETE of a collection: the list of what was deleted. */
export function deleteCollection(cluster: Cluster, call: Call): Answer {
  const options = readListOptions(call)
  const answer = list(cluster, call)
  if (isDryRun(call)) return answer
  const wish = how(call, readOptions(call))
  for (const stored of readPage(cluster, call, options).items) deleteStored(cluster, call.resource, stored, wish)
  return answer
}

export interface DeleteWish {
  readonly propagation: 'Background' | 'Foreground' | 'Orphan'
  /** Undefined leaves it to the object. */
  readonly graceSeconds: number | undefined
}

function how(call: Call, options: Json): DeleteWish {
  const policy = textAt(options, 'propagationPolicy') || call.query.get('propagationPolicy')
  const grace = valueAt(options, 'gracePeriodSeconds') ?? call.query.get('gracePeriodSeconds') ?? undefined
  const graceSeconds = grace === undefined ? undefined : Number(grace)
  if (graceSeconds !== undefined && !Number.isInteger(graceSeconds))
    throw badRequest(`gracePeriodSeconds: strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`)
  const orphans = valueAt(options, 'orphanDependents') === true
  return {
    propagation: policy === 'Foreground' || policy === 'Orphan' ? policy : orphans ? 'Orphan' : 'Background',
    graceSeconds,
  }
}

function checkPreconditions(resource: Resource, stored: Stored, options: Json): void {
  const uid = textAt(options, 'preconditions', 'uid')
  const version = textAt(options, 'preconditions', 'resourceVersion')
  if (uid !== '' && uid !== stored.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.uid}`
    throw conflict(resource, stored.name, why)
  }
  if (version !== '' && version !== `${stored.revision}`) {
    const why = `Precondition failed: ResourceVersion in precondition: ${version}, ResourceVersion in object meta: ${stored.revision}`
    throw conflict(resource, stored.name, why)
  }
}

/**
 * Deletes an object, or marks it when there is something to be done first: finalizers, what it owns (foreground), a
 * pod that its kubelet still has to stop, what is in a namespace. The answer is what is left of it.
 */
export function deleteStored(
  cluster: Cluster,
  resource: Resource,
  stored: Stored,
  wish: DeleteWish,
): Stored | undefined {
  const object = treeOf(stored)
  const { metadata } = object
  const grace = graceOf(resource, object, wish)
  const finalizers = new Set(metadata.finalizers)
  if (wish.propagation === 'Foreground') finalizers.add('foregroundDeletion')
  if (wish.propagation === 'Orphan') finalizers.add('orphan')
  const stays = finalizers.size > 0 || grace > 0 || resource.plural === 'namespaces'
  if (!stays) return remove(cluster, resource, stored)
  if (
    metadata.deletionTimestamp &&
    (metadata.deletionGracePeriodSeconds ?? 0) <= grace &&
    resource.plural !== 'namespaces'
  )
    return stored
  metadata.finalizers = [...finalizers]
  if (finalizers.size === 0) delete metadata.finalizers
  metadata.deletionTimestamp ??= new Date(Date.parse(cluster.now()) + grace * 1000).toISOString().replace('.000', '')
  metadata.deletionGracePeriodSeconds = grace
  if (metadata.generation !== undefined) metadata.generation++
  if (resource.plural === 'namespaces') object['status'] = { ...objectAt(object, 'status'), phase: 'Terminating' }
  return cluster.store.put(resource, object)
}

/** Seconds a pod is given: none if no kubelet has it, or if it has ended (kubernetes pkg/registry/core/pod). */
function graceOf(resource: Resource, pod: KubeObject, { graceSeconds }: DeleteWish): number {
  if (resource.plural !== 'pods' || resource.group !== '') return 0
  if (textAt(pod, 'spec', 'nodeName') === '') return 0
  if (['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'))) return 0
  const own = valueAt(pod, 'spec', 'terminationGracePeriodSeconds')
  const seconds = graceSeconds ?? (typeof own === 'number' ? own : 30)
  return Math.max(0, seconds)
}
