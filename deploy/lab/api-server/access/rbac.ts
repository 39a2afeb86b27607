/**
 * Who may do what, by the (Cluster)Roles and their bindings that are in the store (kubernetes
 * plugin/pkg/auth/authorizer/rbac). Members of `system:masters` may do everything.
 */
import type { Cluster } from '../cluster.ts'
import { type Json, listAt, objectAt, textAt, texts } from '../objects/json.ts'
import { type Store, treeOf } from '../objects/store.ts'
import { MASTERS, type User } from './users.ts'

/** What somebody wants to do to a resource; empty texts where something is not named. */
export interface ResourceAttributes {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
}

export interface Rule {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames: readonly string[]
  readonly nonResourceURLs: readonly string[]
}

const GROUP = 'rbac.authorization.k8s.io'
const cluster = (plural: string) => ({ group: GROUP, plural, namespaced: false, fields: [] })
const inNamespace = (plural: string) => ({ group: GROUP, plural, namespaced: true, fields: [] })

/** Whether some rule of the user allows it, in the namespace that is named or in the whole cluster. */
export function mayResource({ store }: Pick<Cluster, 'store'>, user: User, wants: ResourceAttributes): boolean {
  if (user.groups.includes(MASTERS)) return true
  return rulesOf(store, user, wants.namespace).some(rule => allows(rule, wants))
}

/** The same for a path that is no resource, such as that of discovery. */
export function mayPath({ store }: Pick<Cluster, 'store'>, user: User, verb: string, path: string): boolean {
  if (user.groups.includes(MASTERS)) return true
  return rulesOf(store, user, '').some(
    rule => holds(rule.verbs, verb) && rule.nonResourceURLs.some(pattern => matchesPath(pattern, path)),
  )
}

/** Every rule that a user has at the scope of the cluster and in a namespace. */
export function rulesOf(store: Store, user: User, namespace: string): Rule[] {
  const rules: Rule[] = []
  for (const stored of store.collection(cluster('clusterrolebindings')).at(store.revision)) {
    const binding = treeOf(stored)
    if (binds(binding, user, '')) rules.push(...roleRules(store, binding, ''))
  }
  if (namespace === '') return rules
  for (const stored of store.collection(inNamespace('rolebindings')).at(store.revision, `${namespace}/`)) {
    const binding = treeOf(stored)
    if (binds(binding, user, namespace)) rules.push(...roleRules(store, binding, namespace))
  }
  return rules
}

function binds(binding: Json, user: User, namespace: string): boolean {
  return listAt(binding, 'subjects').some(subject => {
    const name = textAt(subject, 'name')
    switch (textAt(subject, 'kind')) {
      case 'User':
        return name === user.name
      case 'Group':
        return user.groups.includes(name)
      case 'ServiceAccount':
        return user.name === `system:serviceaccount:${textAt(subject, 'namespace') || namespace}:${name}`
      default:
        return false
    }
  })
}

function roleRules(store: Store, binding: Json, namespace: string): Rule[] {
  const name = textAt(binding, 'roleRef', 'name')
  const isCluster = textAt(binding, 'roleRef', 'kind') === 'ClusterRole'
  const resource = isCluster ? cluster('clusterroles') : inNamespace('roles')
  const stored = store.get(resource, isCluster ? '' : namespace, name)
  if (stored === undefined) return []
  const role = treeOf(stored)
  const selectors = listAt(role, 'aggregationRule', 'clusterRoleSelectors').map(s => objectAt(s, 'matchLabels'))
  const own = listAt(role, 'rules').map(readRule)
  return selectors.length === 0 ? own : [...own, ...aggregated(store, selectors)]
}

/** Rules of the roles that an aggregating role is made of. */
function aggregated(store: Store, selectors: readonly Readonly<Record<string, Json | undefined>>[]): Rule[] {
  return [...store.collection(cluster('clusterroles')).at(store.revision)]
    .filter(stored => selectors.some(labels => Object.entries(labels).every(([k, v]) => stored.labels[k] === v)))
    .flatMap(stored => listAt(treeOf(stored), 'rules').map(readRule))
}

function readRule(value: Json): Rule {
  const list = (name: string): string[] => texts(listAt(value, name))
  return {
    verbs: list('verbs'),
    apiGroups: list('apiGroups'),
    resources: list('resources'),
    resourceNames: list('resourceNames'),
    nonResourceURLs: list('nonResourceURLs'),
  }
}

function allows(rule: Rule, wants: ResourceAttributes): boolean {
  const { resource, subresource } = wants
  const asked = subresource === '' ? [resource] : [`${resource}/${subresource}`, `*/${subresource}`]
  return (
    holds(rule.verbs, wants.verb) &&
    holds(rule.apiGroups, wants.group) &&
    (rule.resources.includes('*') || asked.some(name => rule.resources.includes(name))) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(wants.name))
  )
}

function holds(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value)
}

function matchesPath(pattern: string, path: string): boolean {
  return pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)))
}

/** What a user hears who may not (k8s.io/apiserver responsewriters forbiddenMessage). */
export function refusal(user: User, wants: ResourceAttributes): string {
  const { verb, group, resource, subresource, namespace } = wants
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  return `User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`
}
