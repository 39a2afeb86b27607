/** The rights that the operator says it needs, at an API server that has the chart's roles. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { renderManifests } from '../../deploy/helm/render.ts'
import type { TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../test/support/kubernetes-source.ts'
import { Rights } from './rights.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const ROLE = `${RBAC}/namespaces/kube-system/roles/causeway-operator`
const CLUSTER_ROLE = `${RBAC}/clusterroles/causeway-operator`
const lease = { namespace: 'kube-system', name: 'causeway-operator' }

interface World extends AsyncDisposable {
  readonly api: TestApi
  readonly rights: Rights
  readonly log: FakeLog
  readonly clock: FakeClock
  readonly asked: () => number
  readonly failing: { now: boolean }
}

async function world(): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  api.server.load(renderManifests() as never)
  const token = () => api.server.serviceAccount('kube-system', 'causeway-operator')
  const { client, connection } = clientOf(api, { token })
  stack.use(connection)
  const [log, clock, failing] = [new FakeLog(), new FakeClock(), { now: false }]
  let asked = 0
  const counted: Pick<typeof client, 'create'> = {
    create: (...args) => {
      asked++
      return failing.now ? Promise.reject(new Error('it is away')) : client.create(...args)
    },
  }
  const rights = new Rights({ client: counted, lease, log, clock })
  const stop = new AbortController()
  const running = rights.run(stop.signal)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  const owned = stack.move()
  return { api, rights, log, clock, failing, asked: () => asked, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

test('the chart gives all of them', async () => {
  await using all = await world()
  await eventually(() => all.clock.next === 10 * 60_000)
  assert.deepEqual(all.rights.problems, [])
  assert.ok(all.asked() > 30)
})

test('each missing rule is named with what to add, once, until it is there', async () => {
  await using all = await world()
  const { api, rights, clock, log } = all
  await eventually(() => clock.next === 10 * 60_000)
  const rules = [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] }]
  const before = valueAt((await api.admin.get(CLUSTER_ROLE)).json, 'rules')
  await api.admin.patch(CLUSTER_ROLE, { rules })
  await api.admin.delete(ROLE)
  await clock.advance(10 * 60_000)
  await eventually(() => clock.next === 30_000)
  const messages = rights.problems.map(({ message }) => message)
  assert.equal(
    messages[0],
    'may not patch nodes; add to the operator\'s ClusterRole: {apiGroups: [""], resources: [nodes], verbs: [patch]}',
  )
  assert.ok(
    messages.includes(
      'may not patch ippools.causeway.dev/status; add to the operator\'s ClusterRole: {apiGroups: ["causeway.dev"], resources: [ippools/status], verbs: [patch]}',
    ),
  )
  assert.equal(
    messages.at(-1),
    "may not get or update leases.coordination.k8s.io; add to the operator's Role in namespace kube-system: " +
      '{apiGroups: ["coordination.k8s.io"], resources: [leases], verbs: [get, update], resourceNames: [causeway-operator]}',
  )
  assert.equal(log.lines.length, messages.length)
  await api.admin.patch(CLUSTER_ROLE, { rules: before })
  await clock.advance(30_000)
  await eventually(() => rights.problems.length === 2)
  assert.equal(log.lines.length, messages.length)
})

test('what the API server does not say is no refusal, and is asked again soon', async () => {
  await using all = await world()
  const { clock, failing, rights } = all
  await eventually(() => clock.next === 10 * 60_000)
  failing.now = true
  await clock.advance(10 * 60_000)
  assert.deepEqual([rights.problems, clock.next], [[], 30_000])
})
