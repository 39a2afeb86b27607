import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { clientOf, startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { askAccess, DAEMON_RIGHTS } from './access.ts'
import type { ApiClient } from './client.ts'
import { RESOURCES } from './resources.ts'

const signal = AbortSignal.timeout(20_000)
const NAMESPACE = 'kube-system'

/** What a service account with these rules is told that it may not do. */
async function missingWith(rules: readonly object[]): Promise<{ missing: string[]; answered: boolean }> {
  await using api = await startOwnApi()
  const group = 'rbac.authorization.k8s.io'
  const object = (kind: string, more: object): object => ({
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name: 'c' },
    ...more,
  })
  await api.admin.create(`/apis/${group}/v1/clusterroles`, object('ClusterRole', { rules }))
  const binding = {
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'c' },
    subjects: [{ kind: 'ServiceAccount', namespace: NAMESPACE, name: 'causeway' }],
  }
  await api.admin.create(`/apis/${group}/v1/clusterrolebindings`, object('ClusterRoleBinding', binding))
  const { client, connection } = clientOf(api, { token: ({ server }) => server.serviceAccount(NAMESPACE, 'causeway') })
  using _connection = connection
  const { refused, answered } = await askAccess(client, DAEMON_RIGHTS, signal)
  return { missing: [...refused.values()].map(({ message }) => message), answered }
}

test('the role of the chart lacks nothing', async () => {
  const text = readFileSync(
    new URL('../../../deploy/helm/causeway/templates/rbac-daemon.yaml', import.meta.url),
    'utf8',
  )
  const [role] = parseAllDocuments(text.replaceAll(/\{\{.*?\}\}/g, 'x')).map(document => document.toJS() as unknown)
  const { rules } = role as { readonly rules: readonly object[] }
  assert.ok(rules.length > 3)
  assert.deepEqual(await missingWith(rules), { missing: [], answered: true })
})

test('each right that is missing is named, with the rule to add', async () => {
  const rules = [
    { apiGroups: [''], resources: ['nodes', 'pods', 'services'], verbs: ['get'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create'] },
    { apiGroups: ['causeway.dev'], resources: ['*'], verbs: ['get', 'list', 'watch'] },
  ]
  assert.deepEqual(await missingWith(rules), {
    missing: [
      'may not patch the status of nodenetworks.causeway.dev; add to the ClusterRole: {apiGroups: ["causeway.dev"], resources: [nodenetworks/status], verbs: [patch]}',
      'may not patch events; add to the ClusterRole: {apiGroups: [""], resources: [events], verbs: [patch]}',
    ],
    answered: true,
  })
})

for (const [what, answer] of [
  ['an error', new Error('away')],
  ['no object', null],
  ['no verdict', { status: {} }],
  ['a verdict in words', { status: { allowed: 'no' } }],
] as const)
  test(`${what} is no refusal, and no answer`, async () => {
    const create: ApiClient['create'] = () =>
      answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
    const { refused, answered } = await askAccess({ create }, [{ resource: RESOURCES.nodes, verbs: ['get'] }], signal)
    assert.deepEqual({ refused: refused.size, answered }, { refused: 0, answered: false })
  })
