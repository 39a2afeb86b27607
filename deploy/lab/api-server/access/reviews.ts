/** Questions about access, answered by the rules that decide on requests (authorization.k8s.io/v1). */
import { type Answer, type Call, jsonAnswer } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import { type Json, type JsonObject, objectAt, textAt, valueAt } from '../objects/json.ts'
import { noSuchPath } from '../status.ts'
import { mayPath, mayResource, rulesOf } from './rbac.ts'
import { MASTERS } from './users.ts'

/** Answers a question that is asked by POST, as 201 with its status. @throws ApiError 404 of a kind that is not answered here */
export function review(cluster: Cluster, call: Call, question: Json): Answer {
  const spec = objectAt(question, 'spec')
  const status = statusOf(cluster, call, spec)
  return jsonAnswer(201, {
    kind: call.resource.kind,
    apiVersion: apiVersionOf(call.resource),
    metadata: { creationTimestamp: null },
    spec,
    status,
  })
}

function statusOf(cluster: Cluster, call: Call, spec: JsonObject): JsonObject {
  switch (call.resource.kind) {
    case 'SelfSubjectAccessReview':
      return mayStatus(cluster, call, spec)
    case 'SelfSubjectRulesReview':
      return rulesStatus(cluster, call, textAt(spec, 'namespace'))
    case 'SelfSubjectReview':
      return { userInfo: { username: call.user.name, uid: call.user.uid, groups: [...call.user.groups] } }
    default:
      throw noSuchPath()
  }
}

function mayStatus(cluster: Cluster, { user }: Call, spec: JsonObject): JsonObject {
  const path = valueAt(spec, 'nonResourceAttributes')
  if (path !== undefined && path !== null)
    return { allowed: mayPath(cluster, user, textAt(path, 'verb'), textAt(path, 'path')) }
  const wants = objectAt(spec, 'resourceAttributes')
  const text = (name: string): string => textAt(wants, name)
  return {
    allowed: mayResource(cluster, user, {
      verb: text('verb'),
      group: text('group'),
      resource: text('resource'),
      subresource: text('subresource'),
      namespace: text('namespace'),
      name: text('name'),
    }),
  }
}

function rulesStatus(cluster: Cluster, { user }: Call, namespace: string): JsonObject {
  if (user.groups.includes(MASTERS))
    return {
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    }
  const rules = rulesOf(cluster.store, user, namespace)
  return {
    resourceRules: rules
      .filter(rule => rule.resources.length > 0)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs: [...verbs],
        apiGroups: [...apiGroups],
        resources: [...resources],
        ...(resourceNames.length === 0 ? {} : { resourceNames: [...resourceNames] }),
      })),
    nonResourceRules: rules
      .filter(rule => rule.nonResourceURLs.length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] })),
    incomplete: false,
  }
}
