/** POST: a new object, or one of the few questions and orders that are no object. */
import { randomInt } from 'node:crypto'
import { review } from '../access/reviews.ts'
import { type Answer, type Call, jsonAnswer } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { cause } from '../kinds/validate.ts'
import type { KubeObject } from '../objects/kube-object.ts'
import { treeOf } from '../objects/store.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  methodNotAllowed,
  noSuchPath,
  notFound,
} from '../status.ts'
import { objectAt, textAt } from '../objects/json.ts'
import { existing } from '../read/get.ts'
import { readObject, readBody } from './body.ts'
import { commitNew, commitUpdate } from './commit.ts'
import { deleteOne } from './delete.ts'
import { trackUpdate } from './managed-fields.ts'

/** @throws ApiError 409 when it is there, 404 or 403 when its namespace is not or ends, 422 when it may not be so */
export function create(cluster: Cluster, call: Call): Answer {
  const { route, resource } = call
  if (route.subresource !== '') return createSubresource(cluster, call)
  if (resource.virtual) return review(cluster, call, readBody(call))
  if (route.name !== '') throw methodNotAllowed()
  const object = readObject(call)
  if (object.metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  giveName(cluster, call, object)
  const { namespace = '', name: own = '' } = object.metadata
  if (cluster.store.get(resource, namespace, own) !== undefined) throw alreadyExists(resource, own)
  trackUpdate(cluster, call, undefined, object)
  return commitNew(cluster, call, object)
}

/** Gives a new object its namespace, and its name if it only says how that begins. */
export function giveName(cluster: Cluster, { route, resource }: Call, object: KubeObject): void {
  const { metadata } = object
  if (!resource.namespaced) delete metadata.namespace
  else {
    const given = metadata.namespace ?? ''
    if (given !== '' && given !== route.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    metadata.namespace = route.namespace
    checkNamespace(cluster, route.namespace, resource, metadata.name ?? '')
  }
  if (!metadata.name && metadata.generateName) metadata.name = `${metadata.generateName}${suffix()}`
}

/** Letters that make no words (k8s.io/apimachinery pkg/util/rand). */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789'

function suffix(): string {
  return Array.from({ length: 5 }, () => LETTERS[randomInt(LETTERS.length)]).join('')
}

const NAMESPACES = { group: '', plural: 'namespaces', namespaced: false, fields: [] }

function checkNamespace(
  { store }: Cluster,
  namespace: string,
  about: { group: string; plural: string },
  of: string,
): void {
  const stored = store.get(NAMESPACES, '', namespace)
  if (stored === undefined) throw notFound(NAMESPACES, namespace)
  if (!treeOf(stored).metadata.deletionTimestamp) return
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  throw forbidden(about, of, why)
}

function createSubresource(cluster: Cluster, call: Call): Answer {
  const { plural, subresource } = call.route
  if (plural === 'pods' && subresource === 'binding') return bind(cluster, call)
  if (plural === 'pods' && subresource === 'eviction') {
    deleteOne(cluster, { ...call, body: Buffer.alloc(0) })
    return jsonAnswer(201, SUCCESS)
  }
  if (plural === 'serviceaccounts' && subresource === 'token') return token(cluster, call)
  throw noSuchPath()
}

const SUCCESS = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }

/** What the scheduler does: names the node of a pod. */
function bind(cluster: Cluster, call: Call): Answer {
  const stored = existing(cluster, call)
  const pod = treeOf(stored)
  const node = textAt(readBody(call), 'target', 'name')
  const bound = textAt(pod, 'spec', 'nodeName')
  if (bound !== '')
    throw conflict(call.resource, stored.name, `pod ${stored.name} is already assigned to node "${bound}"`)
  if (node === '') throw invalid(call.resource, stored.name, [cause('Required', 'target.name', 'Required value')])
  pod['spec'] = { ...objectAt(pod, 'spec'), nodeName: node }
  commitUpdate(cluster, { ...call, route: { ...call.route, subresource: '' } }, stored, pod)
  return jsonAnswer(201, SUCCESS)
}

function token(cluster: Cluster, call: Call): Answer {
  const { metadata } = treeOf(existing(cluster, call))
  const expirationTimestamp = new Date(Date.parse(cluster.now()) + 3_600_000).toISOString()
  return jsonAnswer(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: metadata.name, namespace: metadata.namespace, creationTimestamp: cluster.now() },
    spec: objectAt(readBody(call), 'spec'),
    status: {
      token: cluster.users.serviceAccount(metadata.namespace ?? '', metadata.name ?? ''),
      expirationTimestamp,
    },
  })
}
