/** PUT: a whole object in the place of the one that is there. */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { Resource } from '../kinds/resource.ts'
import { cause } from '../kinds/validate.ts'
import type { Stored } from '../objects/collection.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import { existing } from '../read/get.ts'
import { badRequest, conflict, invalid, MODIFIED, noSuchPath } from '../status.ts'
import { readObject } from './body.ts'
import { commitUpdate } from './commit.ts'
import { trackUpdate } from './managed-fields.ts'
import { updateScale } from './scale.ts'

/** @throws ApiError 404, 409 or 422 */
export function update(cluster: Cluster, call: Call): Answer {
  const { route, resource } = call
  checkSubresource(call)
  if (route.subresource === 'scale') return updateScale(cluster, call)
  const object = readObject(call)
  if ((object.metadata.name || route.name) !== route.name)
    throw badRequest(
      `the name of the object (${object.metadata.name}) does not match the name on the URL (${route.name})`,
    )
  if (resource.namespaced && (object.metadata.namespace || route.namespace) !== route.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  object.metadata.name = route.name
  if (resource.namespaced) object.metadata.namespace = route.namespace
  const stored = existing(cluster, call)
  if (!object.metadata.resourceVersion && mustSayVersion(resource))
    throw invalid(resource, route.name, [
      cause('Invalid', VERSION, 'Invalid value: 0: must be specified for an update'),
    ])
  checkVersion(resource, stored, object)
  trackUpdate(cluster, call, treeOf(stored), object)
  return commitUpdate(cluster, call, stored, object)
}

const VERSION = 'metadata.resourceVersion'

/** Kinds that are not overwritten by somebody who does not say what they have seen (AllowUnconditionalUpdate). */
function mustSayVersion(resource: Resource): boolean {
  return (
    resource.custom !== undefined || resource.plural === 'leases' || resource.plural === 'customresourcedefinitions'
  )
}

/** What a writer says it has seen must be what is there. @throws ApiError 409 */
export function checkVersion(resource: Resource, stored: Stored, { metadata }: KubeObject): void {
  const { resourceVersion, uid } = metadata
  if (uid && uid !== stored.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.uid}`
    throw conflict(resource, stored.name, why)
  }
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== `${stored.revision}`)
    throw conflict(resource, stored.name, MODIFIED)
}

/** Which parts of an object can be spoken to by themselves. */
export function checkSubresource({ route, resource }: Call): void {
  const { subresource } = route
  const known =
    subresource === '' ||
    (subresource === 'status' && resource.status) ||
    (subresource === 'scale' && resource.scale !== undefined) ||
    (subresource === 'finalize' && resource.plural === 'namespaces')
  if (!known || resource.virtual) throw noSuchPath()
}
