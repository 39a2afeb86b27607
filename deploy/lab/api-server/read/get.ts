/** One object. */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { Stored } from '../objects/collection.ts'
import { keyOf } from '../objects/store.ts'
import { notFound, tooLargeResourceVersion } from '../status.ts'
import { revisionOf } from './options.ts'
import { represent } from './represent.ts'

/** The object a request names. @throws ApiError 404 */
export function existing({ store }: Cluster, { resource, route }: Pick<Call, 'resource' | 'route'>): Stored {
  const stored = store.get(resource, route.namespace, route.name)
  if (stored === undefined) throw notFound(resource, route.name)
  return stored
}

/** GET of one object. @throws ApiError 404; 504 for a version that is still to come */
export function get(cluster: Cluster, call: Call): Answer {
  const asked = call.query.get('resourceVersion') ?? ''
  if (asked !== '' && revisionOf(asked) > cluster.store.revision)
    throw tooLargeResourceVersion(revisionOf(asked), cluster.store.revision)
  const stored = call.stale === undefined ? existing(cluster, call) : existed(cluster, call, call.stale.revision ?? 0)
  return { code: 200, body: [represent(call.resource, stored, call.accept, cluster.now())] }
}

/** The object as it was. */
function existed({ store }: Cluster, call: Call, revision: number): Stored {
  const key = keyOf(call.resource, call.route.namespace, call.route.name)
  const [stored] = store.collection(call.resource).at(revision, key, key)
  if (stored?.key !== key) throw notFound(call.resource, call.route.name)
  return stored
}
