/** PATCH: a change to the object that is there, in one of four languages. */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import { copy, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { asKubeObject, type KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import { existing } from '../read/get.ts'
import { badRequest, unsupportedMediaType } from '../status.ts'
import { apply } from './apply.ts'
import { checkKind, readBody } from './body.ts'
import { commitUpdate } from './commit.ts'
import { jsonPatch } from './json-patch.ts'
import { trackUpdate } from './managed-fields.ts'
import { mergePatch } from './merge-patch.ts'
import { scaleOf, setReplicas } from './scale.ts'
import { strategicMerge } from './strategic-merge.ts'
import { checkSubresource, checkVersion } from './update.ts'

const JSON_PATCH = 'application/json-patch+json'
const MERGE_PATCH = 'application/merge-patch+json'
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json'
const APPLY_PATCH = 'application/apply-patch+yaml'

/** @throws ApiError 404, 409, 415 or 422 */
export function patch(cluster: Cluster, call: Call): Answer {
  checkSubresource(call)
  if (call.contentType === APPLY_PATCH) return apply(cluster, call)
  const { resource, route } = call
  const change = readBody(call)
  const stored = existing(cluster, call)
  if (route.subresource === 'scale') return setReplicas(cluster, call, patched(call, scaleOf(resource, stored), change))
  const was: KubeObject = { kind: resource.kind, apiVersion: apiVersionOf(resource), ...treeOf(stored) }
  const object = asKubeObject(patched(call, was, change))
  if (object === undefined) throw badRequest('the patched object is no longer one')
  checkKind(call, object)
  checkVersion(resource, stored, object)
  trackUpdate(cluster, call, was, object)
  return commitUpdate(cluster, call, stored, object)
}

function patched(call: Call, target: JsonObject, change: Json): Json {
  const { contentType, resource } = call
  if (contentType === JSON_PATCH) return jsonPatch(target, change)
  if (!isObject(change)) throw badRequest('a patch is an object')
  // What comes out shares nothing with what went in, so that the one can be compared with the other.
  if (contentType === MERGE_PATCH) return copy(mergePatch(target, change))
  if (contentType === STRATEGIC_PATCH && resource.custom === undefined)
    return copy(strategicMerge(target, change, resource.shape))
  const accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
  throw unsupportedMediaType(contentType, resource.custom === undefined ? [...accepted, STRATEGIC_PATCH] : accepted)
}
