/** What the elected operator says on objects of the own kinds, at an API server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node, type TestApi } from '../../test/support/api-server.ts'
import { eventually } from '../../test/support/eventually.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { clientOf, startOwnApi } from '../../test/support/kubernetes-source.ts'
import { asText, type Json, listAt, objectAt, textAt, valueAt } from '../../deploy/lab/api-server/objects/json.ts'
import type { Refusal } from '../cluster-side.ts'
import { loadConfig } from '../config/load.ts'
import { refusalBy } from '../node-settings.ts'
import { systemClock } from '../state/clock.ts'
import { Leadership } from './lead.ts'

const OWN = '/apis/causeway.dev/v1alpha1'

interface World extends AsyncDisposable {
  readonly api: TestApi
  readonly leader: Leadership
}

async function lead(objects: readonly object[], refusal: Refusal = () => Promise.resolve(undefined)): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await startOwnApi())
  api.server.load(objects as never)
  const { client, connection } = clientOf(api)
  stack.use(connection)
  const stop = new AbortController()
  const common = { client, log: new FakeLog(), clock: systemClock, idleMs: 30_000 }
  const leader = new Leadership({ ...common, identity: 'operator', refusal })
  const running = leader.run(stop.signal)
  stack.defer(async () => {
    stop.abort()
    await running
  })
  const owned = stack.move()
  return { api, leader, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

function own(kind: string, name: string, spec: object): object {
  return { apiVersion: 'causeway.dev/v1alpha1', kind, metadata: { name }, spec }
}
const pool = (name: string, ...cidrs: readonly string[]): object =>
  own('IPPool', name, { cidrs: cidrs.map(cidr => ({ cidr })) })

async function object(api: TestApi, path: string): Promise<Json> {
  return (await api.admin.get(`${OWN}/${path}`)).json
}

/** `Ready False Unusable, of 2`: a condition, and the generation that it is about. */
function conditionText(json: Json, type: string): string {
  const found = listAt(json, 'status', 'conditions').find(each => textAt(each, 'type') === type)
  if (found === undefined) return `no ${type}`
  return `${type} ${textAt(found, 'status')} ${textAt(found, 'reason')}, of ${asText(valueAt(found, 'observedGeneration'))}`
}

/** Waits for a condition. */
async function says(api: TestApi, path: string, want: string, timeoutMs = 5000): Promise<void> {
  const type = want.split(' ')[0] ?? ''
  let last = ''
  const look = async (): Promise<boolean> => {
    last = conditionText(await object(api, path), type)
    return last === want
  }
  await eventually(look, { timeoutMs, pollMs: 20 }).catch(() => assert.equal(last, want))
}

async function warnings(api: TestApi, name: string): Promise<string[]> {
  const { json } = await api.admin.get('/api/v1/events')
  const own = listAt(json, 'items').filter(each => textAt(each, 'involvedObject', 'name') === name)
  return own.map(each => `${textAt(each, 'type')} ${textAt(each, 'reason')}`)
}

test('objects say what is wrong with them, in a condition and in an Event', async () => {
  const nodes = [
    node('a', { status: { addresses: [{ type: 'InternalIP', address: '10.9.0.1' }] } }),
    node('b', { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.2' }] } }),
  ]
  const refusal = refusalBy(layers => Promise.resolve(loadConfig({ pluginNames: [], layers })))
  await using world = await lead(
    [
      ...nodes,
      pool('good', '10.1.0.0/16'),
      pool('on-node', '10.9.0.0/16'),
      pool('overlap', '10.1.128.0/17'),
      pool('self', '10.2.0.0/16', '10.2.4.0/24'),
      own('NodeSettings', 'good', { settings: { mtu: 1400 } }),
      own('NodeSettings', 'wrong', { settings: { nonsense: 1 } }),
      own('EgressPolicy', 'nowhere', {
        selectors: [{}],
        destinations: ['192.0.2.0/24'],
        gateways: [{ nodeSelector: { matchLabels: { gateway: 'yes' } } }],
      }),
    ],
    refusal,
  )
  const { api, leader } = world
  await says(api, 'ippools/good', 'Ready True RangesUsable, of 1')
  await says(api, 'ippools/on-node', 'Contradicted True CoversNodeAddress, of 1')
  await says(api, 'ippools/overlap', 'Ready False RangesOverlap, of 1')
  await says(api, 'ippools/self', 'Ready False Unusable, of 1')
  await says(api, 'nodesettings/good', 'Ready True SettingsGood, of 1')
  await says(api, 'nodesettings/wrong', 'Ready False SettingsRefused, of 1')
  await says(api, 'egresspolicies/nowhere', 'Ready False NoGateway, of 1')
  const told = await Promise.all(
    ['good', 'on-node', 'overlap', 'self', 'wrong', 'nowhere'].map(async name => [
      name,
      ...(await warnings(api, name)),
    ]),
  )
  assert.deepEqual(told, [
    ['good'],
    ['on-node', 'Warning CoversNodeAddress'],
    ['overlap', 'Warning RangesOverlap'],
    ['self', 'Warning Unusable'],
    ['wrong', 'Warning SettingsRefused'],
    ['nowhere', 'Warning NoGateway'],
  ])
  assert.equal(valueAt(await object(api, 'nodesettings/good'), 'status', 'nodes'), 2)
  const places = leader.problems().map(({ place, message }) => `${place}: ${message}`)
  assert.equal(
    places.filter(text => text.startsWith('NodeSettings wrong: nonsense: unknown key; known here: ')).length,
    1,
  )
  assert.equal(places.filter(text => text.startsWith('IPPool self: ')).length, 1)
})

test('an object that was changed is judged within a second, and nothing is written while nothing changes', async () => {
  await using world = await lead([node('a'), pool('p', '10.1.0.0/16')])
  const { api } = world
  await says(api, 'ippools/p', 'Ready True RangesUsable, of 1')
  await api.admin.patch(`${OWN}/ippools/p`, { spec: { cidrs: [{ cidr: '10.1.0.0/16' }, { cidr: '10.1.4.0/24' }] } })
  await says(api, 'ippools/p', 'Ready False Unusable, of 2', 1000)
  const broken = listAt(await object(api, 'ippools/p'), 'status', 'conditions').find(
    each => textAt(each, 'type') === 'Ready',
  )
  assert.match(
    textAt(broken, 'message'),
    /^spec\.cidrs: 10\.1\.4\.0\/24 overlaps 10\.1\.0\.0\/16 of the same pool; what it said before counts/,
  )
  await api.admin.patch(`${OWN}/ippools/p`, { spec: { cidrs: [{ cidr: '10.1.0.0/16' }] } })
  await says(api, 'ippools/p', 'Ready True RangesUsable, of 3', 1000)
  const version = textAt(await object(api, 'ippools/p'), 'metadata', 'resourceVersion')
  // A change of something else, which is thought through too.
  await api.admin.create('/api/v1/nodes', node('b', { metadata: { name: 'b', labels: { x: 'y' } } }))
  await api.admin.create(`${OWN}/nodesettings`, own('NodeSettings', 's', { settings: { mtu: 1400 } }))
  await says(api, 'nodesettings/s', 'Ready True SettingsGood, of 1')
  const { status } = objectAt(await object(api, 'ippools/p')) as { status?: { nodes?: number } }
  assert.equal(status?.nodes, 2)
  const later = textAt(await object(api, 'ippools/p'), 'metadata', 'resourceVersion')
  await api.admin.patch(`/api/v1/nodes/b`, { metadata: { labels: { x: 'z' } } })
  await api.admin.patch(`${OWN}/nodesettings/s`, { spec: { priority: 3 } })
  await says(api, 'nodesettings/s', 'Ready True SettingsGood, of 2')
  assert.notEqual(later, version)
  assert.equal(textAt(await object(api, 'ippools/p'), 'metadata', 'resourceVersion'), later)
})

test('whether an EgressPolicy selects pods is found out without watching them', async () => {
  const policy = own('EgressPolicy', 'p', {
    selectors: [{ podSelector: { matchLabels: { app: 'x' } } }],
    destinations: ['192.0.2.0/24'],
    gateways: [{ nodeSelector: {} }],
  })
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } }
  const pod = (name: string, app: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app } },
    spec: { containers: [] },
  })
  await using world = await lead([node('a'), namespace, pod('one', 'y'), policy])
  const { api } = world
  await says(api, 'egresspolicies/p', 'SelectsPods False NoPods, of 1')
  assert.equal(conditionText(await object(api, 'egresspolicies/p'), 'Ready'), 'Ready True GatewaysFound, of 1')
  await api.admin.patch(`${OWN}/egresspolicies/p`, {
    spec: { selectors: [{ podSelector: { matchLabels: { app: 'y' } } }] },
  })
  await says(api, 'egresspolicies/p', 'SelectsPods True PodsSelected, of 2')
  assert.deepEqual(await warnings(api, 'p'), [])
  assert.equal(api.server.counters().watchBytes['pods'] ?? 0, 0)
})

test('a Node that was made anew gets a NodeNetwork and a range of its own', async () => {
  const old = {
    ...own('NodeNetwork', 'a', { podCidrs: ['10.1.0.0/24'], pool: 'p' }),
    metadata: { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'before' }] },
    status: { bootId: 'boot-1' },
  }
  await using world = await lead([
    node('a', { status: { nodeInfo: { bootID: 'boot-2' } } }),
    pool('p', '10.1.0.0/16'),
    old,
  ])
  const { api } = world
  const ranges = async (): Promise<unknown> => valueAt(await object(api, 'nodenetworks/a'), 'spec', 'podCidrs')
  // Other nodes may still send to the old one.
  const isNew = async (): Promise<boolean> => JSON.stringify(await ranges()) === '["10.1.1.0/24"]'
  await eventually(isNew, { timeoutMs: 5000, pollMs: 20 })
  const { json } = await api.admin.get('/api/v1/nodes/a')
  const [owner] = listAt(await object(api, 'nodenetworks/a'), 'metadata', 'ownerReferences')
  assert.equal(textAt(owner, 'uid'), textAt(json, 'metadata', 'uid'))
})

test('a Node that is deleted and registers again while its machine runs on keeps its ranges', async () => {
  const registered = (): object => node('a', { status: { nodeInfo: { bootID: 'boot-1' } } })
  await using world = await lead([node('0'), registered(), pool('p', '10.1.0.0/16')])
  const { api } = world
  const ranges = async (): Promise<string> =>
    JSON.stringify(valueAt(await object(api, 'nodenetworks/a'), 'spec', 'podCidrs') ?? [])
  await eventually(async () => (await ranges()) === '["10.1.1.0/24"]')
  await api.admin.patch(`${OWN}/nodenetworks/a/status`, { status: { bootId: 'boot-1' } })
  const before = textAt(await object(api, 'nodenetworks/a'), 'metadata', 'uid')
  // Its NodeNetwork goes with it, as the garbage collector has it.
  await api.admin.delete('/api/v1/nodes/a')
  await eventually(async () => (await api.admin.get(`${OWN}/nodenetworks/a`)).status === 404)
  await api.admin.create('/api/v1/nodes', registered())
  await eventually(async () => (await ranges()) !== '[]')
  assert.equal(await ranges(), '["10.1.1.0/24"]')
  assert.notEqual(textAt(await object(api, 'nodenetworks/a'), 'metadata', 'uid'), before)
})
