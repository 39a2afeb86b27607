/** What every cluster has before anybody does anything: namespaces, and what everybody may do. */
import { randomUUID } from 'node:crypto'
import type { Cluster } from './cluster.ts'
import type { JsonObject } from './objects/json.ts'
import type { KubeObject } from './objects/kube-object.ts'
import { setBuiltInDefaults } from './write/built-in-defaults.ts'

const RBAC = 'rbac.authorization.k8s.io'

/** Of kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy, those that decide what our own users may. */
const ROLES: Readonly<Record<string, readonly JsonObject[]>> = {
  'cluster-admin': [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ],
  'system:basic-user': [
    {
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      verbs: ['create'],
    },
    { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] },
  ],
  'system:discovery': [
    {
      nonResourceURLs: '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/'.split(
        ' ',
      ),
      verbs: ['get'],
    },
  ],
  'system:public-info-viewer': [
    { nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'], verbs: ['get'] },
  ],
}

const BINDINGS: readonly (readonly [role: string, groups: readonly string[]])[] = [
  ['cluster-admin', ['system:masters']],
  ['system:basic-user', ['system:authenticated']],
  ['system:discovery', ['system:authenticated']],
  ['system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']],
]

/** Fills an empty store. */
export function bootstrap(cluster: Cluster): void {
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) {
    put(cluster, '', 'namespaces', { metadata: { name }, status: { phase: 'Active' } })
    if (name === 'default' || name === 'kube-system')
      put(cluster, '', 'serviceaccounts', { metadata: { name: 'default', namespace: name } })
  }
  for (const [name, rules] of Object.entries(ROLES))
    put(cluster, RBAC, 'clusterroles', { metadata: { name }, rules: [...rules] })
  for (const [name, groups] of BINDINGS)
    put(cluster, RBAC, 'clusterrolebindings', {
      metadata: { name },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
      subjects: groups.map(group => ({ apiGroup: RBAC, kind: 'Group', name: group })),
    })
  for (const [name, value] of [
    ['system-node-critical', 2_000_001_000],
    ['system-cluster-critical', 2_000_000_000],
  ] as const)
    put(cluster, 'scheduling.k8s.io', 'priorityclasses', { metadata: { name }, value, globalDefault: false })
}

function put(cluster: Cluster, group: string, plural: string, object: KubeObject): void {
  const resource = cluster.registry.find(group, 'v1', plural)
  if (resource === undefined) throw new Error(`there is no ${plural}`)
  object.metadata.uid = randomUUID()
  object.metadata.creationTimestamp = cluster.now()
  setBuiltInDefaults(group, resource.kind, object, undefined, () => '')
  cluster.store.put(resource, object)
}
