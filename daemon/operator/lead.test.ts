/** What a new leader waits for before it gives anything, at an API server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../test/support/kubernetes-source.ts'
import { listAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { definitionOf, KINDS } from '../cluster/kinds/definitions.ts'
import { systemClock } from '../state/clock.ts'
import { Leadership } from './lead.ts'

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const OWN = '/apis/causeway.dev/v1alpha1'

function lead(api: TestApi, stack: AsyncDisposableStack) {
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [stop, log] = [new AbortController(), new FakeLog()]
  const refusal = () => Promise.resolve(undefined)
  const leader = new Leadership({ client, log, clock: systemClock, idleMs: 30_000, identity: 'operator', refusal })
  const running = leader.run(stop.signal)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  return { leader, log }
}

async function makePool(api: TestApi): Promise<void> {
  const spec = { cidrs: [{ cidr: '10.1.0.0/16' }] }
  const pool = { apiVersion: 'causeway.dev/v1alpha1', kind: 'IPPool', metadata: { name: 'p' }, spec }
  assert.equal((await api.admin.create(`${OWN}/ippools`, pool)).status, 201)
}
const ranges = async (api: TestApi, name: string): Promise<unknown> =>
  valueAt((await api.admin.get(`${OWN}/nodenetworks/${name}`)).json, 'spec', 'podCidrs')

test('no range is given before the ranges of services are known', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  await makePool(api)
  await api.admin.create('/api/v1/nodes', node('a'))
  const cidr = { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name: 'kubernetes' } }
  await api.admin.create('/apis/networking.k8s.io/v1/servicecidrs', { ...cidr, spec: { cidrs: ['10.1.0.0/20'] } })
  api.server.addFault({ kind: 'slow', resource: 'servicecidrs.networking.k8s.io', delayMs: 500 })
  const { log } = lead(api, stack)
  await eventually(async () => (await ranges(api, 'a')) !== undefined)
  assert.deepEqual(await ranges(api, 'a'), ['10.1.16.0/24'])
  assert.deepEqual(
    log.lines.filter(line => !line.startsWith('info')),
    [],
  )
})

test('ranges of services that may not be read are said to be that, and nodes get theirs all the same', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  await makePool(api)
  await api.admin.create('/api/v1/nodes', node('a'))
  api.server.addFault({ kind: 'error', resource: 'servicecidrs.networking.k8s.io', code: 403 })
  const { log } = lead(api, stack)
  await eventually(async () => (await ranges(api, 'a')) !== undefined)
  assert.equal(log.lines.filter(line => line.startsWith('warn the ranges of services could not be read')).length, 1)
})

test('nodes get ranges also where a kind is absent that says nothing of them, and its absence is a problem', async () => {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi({ bare: true }))
  for (const kind of KINDS)
    if (kind.resource.plural !== 'egresspolicies') await api.admin.create(DEFINITIONS, definitionOf(kind))
  await makePool(api)
  await api.admin.create('/api/v1/nodes', node('a'))
  const { leader } = lead(api, stack)
  await eventually(async () => JSON.stringify(await ranges(api, 'a')) === '["10.1.0.0/24"]')
  const absent = () => leader.problems().filter(({ place }) => place.includes('egresspolicies.causeway.dev'))
  await eventually(() => absent().length === 2)
  // It is judged once all is known.
  const pool = async () => listAt((await api.admin.get(`${OWN}/ippools/p`)).json, 'status', 'conditions')
  assert.deepEqual(await pool(), [])
  const missing = KINDS.find(kind => kind.resource.plural === 'egresspolicies')
  assert.ok(missing)
  await api.admin.create(DEFINITIONS, definitionOf(missing))
  await eventually(async () => (await pool()).length > 0, { timeoutMs: 20_000 })
})
