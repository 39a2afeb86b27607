/** NodeNetworks without their Node, seen to at an API server, and what the daemon makes of them meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../test/support/api-server.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../test/support/kubernetes-source.ts'
import { textAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import { GONE_MS, strayActs, Strays } from './strays.ts'
import { parseClusterNode, parseNetwork } from './parse.ts'
import { ObjectField } from '../cluster/object-field.ts'
import { createOperatorTables } from './rows.ts'
import { networkRow, nodeRow } from './testdata.ts'

const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'

const cases: readonly (readonly [string, Parameters<typeof nodeRow>[1] | undefined, object, number, string])[] = [
  ['its own Node', {}, {}, 0, 'nothing'],
  ['no Node for a while', undefined, {}, GONE_MS - 1, 'nothing'],
  ['no Node for long', undefined, {}, GONE_MS, 'delete'],
  ['no owner', {}, { nodeUid: '' }, 0, 'own'],
  [
    'no owner, made before the Node was',
    { created: '2026-02-01T00:00:00Z', bootId: 'b' },
    { nodeUid: '', created: '2026-01-01T00:00:00Z', bootId: 'a' },
    0,
    'delete',
  ],
  ['another Node, and the machine ran on', { bootId: 'b' }, { nodeUid: 'before', bootId: 'b' }, 0, 'own'],
  ['another Node, and another boot', { bootId: 'c' }, { nodeUid: 'before', bootId: 'b' }, 0, 'delete'],
  ['another Node, whose daemon never ran', { bootId: 'c' }, { nodeUid: 'before' }, 0, 'delete'],
  ['another Node, whose kubelet has said nothing yet', {}, { nodeUid: 'before', bootId: 'b' }, 0, 'nothing'],
]
for (const [name, of, network, goneMs, want] of cases)
  test(`a NodeNetwork with ${name}: ${want}`, () => {
    const nodes = new Map(of === undefined ? [] : [['a', nodeRow('a', of)]])
    const acts = strayActs(nodes, [networkRow('a', ['10.0.0.0/24'], network)], () => goneMs)
    assert.deepEqual(acts.map(({ act }) => act).join() || 'nothing', want)
  })

interface World extends AsyncDisposable {
  readonly api: TestApi
  readonly strays: Strays
  readonly clock: FakeClock
  readonly log: FakeLog
  readonly tables: ReturnType<typeof createOperatorTables>
  /** Tables as a watch has them by now. */
  readonly look: () => Promise<void>
  readonly act: () => Promise<number | undefined>
}

async function world(): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const [clock, log, tables] = [new FakeClock(), new FakeLog(), createOperatorTables()]
  const strays = new Strays({ client, tables, log, clock })
  const look = async (): Promise<void> => {
    for (const row of tables.nodes) tables.nodes.delete(row.name)
    for (const row of tables.networks) tables.networks.delete(row.name)
    const read = async (path: string): Promise<ObjectField[]> => {
      const { json } = await api.admin.get(path)
      return new ObjectField(json, () => path).at('items').items()
    }
    for (const each of await read('/api/v1/nodes')) tables.nodes.put(parseClusterNode(each))
    for (const each of await read(NETWORKS)) tables.networks.put(parseNetwork(each))
  }
  const act = async (): Promise<number | undefined> => {
    await look()
    return await strays.act(AbortSignal.timeout(10_000))
  }
  const owned = stack.move()
  return { api, strays, clock, log, tables, look, act, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function networkOf(name: string, ownerUid: string | undefined): object {
  const owner = { apiVersion: 'v1', kind: 'Node', name, uid: ownerUid }
  const metadata = { name, ...(ownerUid !== undefined && { ownerReferences: [owner] }) }
  return { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata, spec: { podCidrs: ['10.0.0.0/24'] } }
}

test('a missing owner reference is mended, and other owners stay', async () => {
  await using all = await world()
  const { api, act, log } = all
  const made = await api.admin.create('/api/v1/nodes', node('a'))
  const keeper = await api.admin.create('/api/v1/namespaces/default/configmaps', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'k' },
  })
  const network = networkOf('a', undefined) as { metadata: object }
  const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'k', uid: textAt(keeper.json, 'metadata', 'uid') }
  api.server.load([{ ...network, metadata: { ...network.metadata, ownerReferences: [other] } }] as never)
  await act()
  const { json } = await api.admin.get(`${NETWORKS}/a`)
  const uid = textAt(made.json, 'metadata', 'uid')
  assert.deepEqual(valueAt(json, 'metadata', 'ownerReferences'), [
    other,
    { apiVersion: 'v1', kind: 'Node', name: 'a', uid },
  ])
  assert.match(log.lines.join('\n'), /was given its owner node=a/)
})

test('a NodeNetwork goes 10 minutes after its Node, and not when the Node has come back', async () => {
  await using all = await world()
  const { api, act, clock, look, strays } = all
  await api.admin.create(NETWORKS, networkOf('a', undefined))
  assert.equal(await act(), GONE_MS)
  await clock.advance(GONE_MS - 1000)
  await act()
  assert.equal((await api.admin.get(`${NETWORKS}/a`)).status, 200)
  await look()
  // The watch has not told of it.
  await api.admin.create('/api/v1/nodes', node('a'))
  await clock.advance(1000)
  await strays.act(AbortSignal.timeout(10_000))
  assert.equal((await api.admin.get(`${NETWORKS}/a`)).status, 200)
  await act()
  await api.admin.delete('/api/v1/nodes/a')
  await api.admin.create(NETWORKS, networkOf('b', undefined))
  await act()
  await clock.advance(GONE_MS)
  await act()
  assert.equal((await api.admin.get(`${NETWORKS}/b`)).status, 404)
  assert.match(
    all.log.lines.join('\n'),
    /was deleted node=b podCidrs=10\.0\.0\.0\/24 why=its Node has been gone for 10 minutes/,
  )
})

test('of a NodeNetwork of another Node of that name only itself is deleted', async () => {
  await using all = await world()
  const { api, look, strays } = all
  await api.admin.create('/api/v1/nodes', node('a', { status: { nodeInfo: { bootID: 'new' } } }))
  api.server.load([networkOf('a', 'uid-of-one-before')] as never)
  await look()
  // Made anew before it is deleted: what is there then is another object.
  await api.admin.delete(`${NETWORKS}/a`)
  await api.admin.create(NETWORKS, networkOf('a', undefined))
  assert.equal(await strays.act(AbortSignal.timeout(10_000)), 2000)
  assert.equal((await api.admin.get(`${NETWORKS}/a`)).status, 200)
})
