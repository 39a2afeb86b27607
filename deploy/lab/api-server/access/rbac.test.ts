import assert from 'node:assert/strict'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { node, refusalOf, startTestApi, type TestApi } from '../../../../test/support/api-server.ts'
import type { ApiClient } from '../client.ts'
import { valueAt } from '../objects/json.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const RULES = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['configmaps'], resourceNames: ['named'], verbs: ['get'] },
  { apiGroups: ['apps'], resources: ['*'], verbs: ['list'] },
]

let api: TestApi
let daemon: ApiClient
before(async () => {
  api = await startTestApi()
  daemon = api.client(api.server.serviceAccount('kube-system', 'causeway'))
  const subjects = [{ kind: 'ServiceAccount', namespace: 'kube-system', name: 'causeway' }]
  const bind = (kind: string, name: string) => ({ metadata: { name }, roleRef: { kind, name }, subjects })
  await api.admin.create(`${RBAC}/clusterroles`, { metadata: { name: 'causeway' }, rules: RULES })
  await api.admin.create(`${RBAC}/clusterrolebindings`, bind('ClusterRole', 'causeway'))
  const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['*'] }
  await api.admin.create(`${RBAC}/namespaces/kube-system/roles`, { metadata: { name: 'leases' }, rules: [leases] })
  await api.admin.create(`${RBAC}/namespaces/kube-system/rolebindings`, bind('Role', 'leases'))
  await api.admin.create('/api/v1/nodes', node('n1'))
})
after(() => api[Symbol.asyncDispose]())

const USER = 'User "system:serviceaccount:kube-system:causeway"'
const LEASES = '/apis/coordination.k8s.io/v1/namespaces'

for (const [what, method, path, want] of [
  ['a cluster role lets list', 'GET', '/api/v1/nodes', '200'],
  [
    'and not delete',
    'DELETE',
    '/api/v1/nodes/n1',
    `403 Forbidden: nodes "n1" is forbidden: ${USER} cannot delete resource "nodes" in API group "" at the cluster scope`,
  ],
  [
    'a subresource is its own',
    'PATCH',
    '/api/v1/nodes/n1',
    `403 Forbidden: nodes "n1" is forbidden: ${USER} cannot patch resource "nodes" in API group "" at the cluster scope`,
  ],
  ['and is let', 'PATCH', '/api/v1/nodes/n1/status', '200'],
  ['a name is let', 'GET', '/api/v1/namespaces/default/configmaps/named', '404 NotFound: configmaps "named" not found'],
  [
    'and no other',
    'GET',
    '/api/v1/namespaces/default/configmaps/other',
    `403 Forbidden: configmaps "other" is forbidden: ${USER} cannot get resource "configmaps" in API group "" in the namespace "default"`,
  ],
  ['every resource of a group', 'GET', '/apis/apps/v1/deployments', '200'],
  ['a role in its namespace', 'GET', `${LEASES}/kube-system/leases`, '200'],
  [
    'and in no other',
    'GET',
    `${LEASES}/default/leases`,
    `403 Forbidden: leases.coordination.k8s.io is forbidden: ${USER} cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "default"`,
  ],
  [
    'nor in all',
    'GET',
    '/apis/coordination.k8s.io/v1/leases',
    `403 Forbidden: leases.coordination.k8s.io is forbidden: ${USER} cannot list resource "leases" in API group "coordination.k8s.io" at the cluster scope`,
  ],
  ["discovery is everybody's", 'GET', '/apis', '200'],
  ['a path that no role names', 'GET', '/metrics', `403 Forbidden: forbidden: ${USER} cannot get path "/metrics"`],
  [
    'what is not served is not let either',
    'GET',
    '/apis/none.example/v1/things',
    `403 Forbidden: things.none.example is forbidden: ${USER} cannot list resource "things" in API group "none.example" at the cluster scope`,
  ],
] as const)
  test(`${what}: ${method} ${path}`, async () => {
    const answer = await daemon.request(
      method,
      path,
      method === 'PATCH' ? { body: { status: {} }, type: 'application/merge-patch+json' } : {},
    )
    assert.equal(answer.status === 200 ? '200' : refusalOf(answer), want)
  })

for (const [wants, allowed] of [
  [{ verb: 'list', resource: 'nodes' }, true],
  [{ verb: 'delete', resource: 'nodes' }, false],
  [{ verb: 'patch', resource: 'nodes', subresource: 'status' }, true],
  [{ verb: 'update', group: 'coordination.k8s.io', resource: 'leases', namespace: 'kube-system' }, true],
  [{ verb: 'update', group: 'coordination.k8s.io', resource: 'leases', namespace: 'default' }, false],
] as const)
  test(`a review of one's own access is answered by the same rules: ${JSON.stringify(wants)}`, async () => {
    const { status, json } = await daemon.create('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      spec: { resourceAttributes: wants },
    })
    assert.deepEqual([status, valueAt(json, 'status', 'allowed')], [201, allowed])
  })

test('a role that goes takes what it let with it', async () => {
  const client = api.client(api.server.user('guest', ['guests']))
  const rules = [{ apiGroups: [''], resources: ['nodes'], verbs: ['list'] }]
  await api.admin.create(`${RBAC}/clusterroles`, { metadata: { name: 'guests' }, rules })
  const binding = {
    metadata: { name: 'guests' },
    roleRef: { kind: 'ClusterRole', name: 'guests' },
    subjects: [{ kind: 'Group', name: 'guests' }],
  }
  await api.admin.create(`${RBAC}/clusterrolebindings`, binding)
  assert.equal((await client.get('/api/v1/nodes')).status, 200)
  await api.admin.delete(`${RBAC}/clusterroles/guests`)
  assert.equal((await client.get('/api/v1/nodes')).status, 403)
})

test('who may speak as another user may not thereby speak as a group', async () => {
  const rules = [{ apiGroups: [''], resources: ['users'], verbs: ['impersonate'] }]
  await api.admin.create(`${RBAC}/clusterroles`, { metadata: { name: 'actors' }, rules })
  const subjects = [{ kind: 'User', name: 'actor' }]
  const roleRef = { kind: 'ClusterRole', name: 'actors' }
  await api.admin.create(`${RBAC}/clusterrolebindings`, { metadata: { name: 'actors' }, roleRef, subjects })
  const asks = (headers: Readonly<Record<string, string>>): Promise<string> =>
    new Promise((resolve, reject) => {
      const authorization = `Bearer ${api.server.user('actor')}`
      const options = { ca: api.server.ca, headers: { authorization, ...headers } }
      request(`${api.server.url}/api/v1/nodes`, options, answer => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        answer.on('end', () => resolve((JSON.parse(text) as { readonly message: string }).message))
      })
        .on('error', reject)
        .end()
    })
  const user = { 'impersonate-user': 'somebody' }
  assert.match(await asks(user), /User "somebody" cannot list resource "nodes"/)
  assert.match(
    await asks({ ...user, 'impersonate-group': 'system:masters' }),
    /User "actor" cannot impersonate resource "groups"/,
  )
})
