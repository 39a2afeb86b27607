import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { connect } from 'node:net'
import { test } from 'node:test'
import {
  eventText,
  namesIn,
  node,
  refusalOf,
  startTestApi,
  take,
  type TestApi,
} from '../../../../test/support/api-server.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { ApiClient } from '../client.ts'

async function withNode(options: Parameters<typeof startTestApi>[0] = {}): Promise<TestApi> {
  const api = await startTestApi(options)
  await api.admin.create('/api/v1/nodes', node('n1'))
  return api
}

const NODES = '/api/v1/nodes'
const label = (api: TestApi, value: string) => api.admin.patch(`${NODES}/n1`, { metadata: { labels: { value } } })

test('429 says when to come again, to as many as it was set for', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'too-many-requests', verb: 'list', resource: 'nodes', retryAfterSeconds: 7, count: 1 })
  const first = await api.admin.get(NODES)
  assert.deepEqual([first.status, first.headers['retry-after']], [429, '7'])
  assert.equal((await api.admin.get(NODES)).status, 200)
  assert.equal(api.server.faults()[0]?.met, 1)
})

for (const code of [500, 503])
  test(`an error ${code} is a Status, and meets only what it was set for`, async () => {
    await using api = await withNode()
    api.server.addFault({ kind: 'error', code, resource: 'nodes', verb: 'get' })
    assert.match(refusalOf(await api.admin.get(`${NODES}/n1`)), new RegExp(`^${code} `))
    assert.equal((await api.admin.get(NODES)).status, 200)
    api.server.clearFaults()
    assert.equal((await api.admin.get(`${NODES}/n1`)).status, 200)
  })

test('a fault may be for one user', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'error', user: 'system:serviceaccount:kube-system:causeway' })
  const daemon = api.client(api.server.serviceAccount('kube-system', 'causeway'))
  assert.equal((await daemon.get(NODES)).status, 403)
  await api.admin.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'daemon' },
    roleRef: { kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'kube-system', name: 'causeway' }],
  })
  assert.equal((await daemon.get(NODES)).status, 500)
  assert.equal((await api.admin.get(NODES)).status, 200)
})

test('a silent watch stays open and tells nothing, also one that was open before', async () => {
  await using api = await withNode({ bookmarkMs: 10 })
  const [silent, heard] = [api.client(api.server.adminToken), api.client(api.server.adminToken)]
  const watch = silent.watch(`${NODES}?watch=1&allowWatchBookmarks=1&timeoutSeconds=1`)
  await take(watch, 1)
  const fault = api.server.addFault({ kind: 'silent-watch', resource: 'nodes' })
  assert.equal(fault.met, 1)
  api.server.removeFault(fault.id)
  const told = take(heard.watch(`${NODES}?watch=1`), 2)
  await eventually(() => api.server.counters().openWatches['nodes'] === 2)
  const next = watch.next()
  await label(api, '1')
  assert.deepEqual(
    (await told).map(event => eventText(event)),
    ['ADDED n1', 'MODIFIED n1'],
  )
  const outcome = await Promise.race([next, new Promise(resolve => setTimeout(resolve, 1500, 'nothing'))])
  // One bookmark may have been on its way before the fault was set.
  const rest =
    outcome === 'nothing'
      ? outcome
      : await Promise.race([watch.next(), new Promise(r => setTimeout(r, 1500, 'nothing'))])
  assert.equal(rest, 'nothing')
})

test('a watch is cut in the middle of a line, and its connection with it', async () => {
  await using api = await withNode()
  const watch = api.client(api.server.adminToken).watch(`${NODES}?watch=1`)
  await take(watch, 1)
  api.server.addFault({ kind: 'cut', resource: 'nodes', verb: 'watch', count: 1 })
  await assert.rejects(watch.next(), /broke off in a line: \{"type":"MODIFIED"|ECONNRESET|closed|ended/)
  await eventually(() => api.server.counters().openWatches['nodes'] === 0)
})

test('a list is cut in the middle', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'cut', resource: 'nodes', verb: 'list', count: 1 })
  const client = api.client(api.server.adminToken)
  const outcome = await client.get(NODES).then(
    answer => answer.text,
    (error: Error) => error.message,
  )
  assert.throws(() => JSON.parse(outcome) as unknown)
  assert.deepEqual(namesIn(await client.get(NODES)), ['n1'])
})

test('a stale server answers as of when the fault was set', async () => {
  await using api = await withNode()
  const fault = api.server.addFault({ kind: 'stale', resource: 'nodes' })
  await api.admin.create(NODES, node('n2'))
  await label(api, 'new')
  assert.deepEqual(namesIn(await api.admin.get(`${NODES}?resourceVersion=3`)), ['n1'])
  assert.equal((await api.admin.get(`${NODES}/n2`)).status, 404)
  assert.doesNotMatch((await api.admin.get(`${NODES}/n1`)).text, /labels/)
  api.server.removeFault(fault.id)
  assert.deepEqual(namesIn(await api.admin.get(NODES)), ['n1', 'n2'])
})

test('a slow answer waits first and then drips', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'slow', verb: 'list', delayMs: 150, count: 1 })
  const started = performance.now()
  await api.admin.get(NODES)
  assert.ok(performance.now() - started > 140)
  const { length } = (await api.admin.get(NODES)).text
  api.server.addFault({ kind: 'slow', verb: 'list', bytesPerSecond: length * 4, count: 1 })
  const dripping = performance.now()
  assert.equal((await api.admin.get(NODES)).text.length, length)
  assert.ok(performance.now() - dripping > 200)
})

test('a request that hangs is never answered', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'hang', verb: 'list', count: 1 })
  const signal = AbortSignal.timeout(200)
  await assert.rejects(api.admin.request('GET', NODES, { signal }))
  assert.equal((await api.admin.get(NODES)).status, 200)
})

test('garbage is no JSON, in an answer and in a watch', async () => {
  await using api = await withNode()
  api.server.addFault({ kind: 'garbage', count: 2 })
  const answer = await api.admin.get(NODES)
  assert.deepEqual([answer.status, answer.text.startsWith('<html>')], [200, true])
  await assert.rejects(api.admin.watch(`${NODES}?watch=1`).next(), SyntaxError)
})

test('bookmarks can be left out', async () => {
  await using api = await withNode({ bookmarkMs: 10 })
  api.server.addFault({ kind: 'no-bookmarks' })
  const watch = api.admin.watch(`${NODES}?watch=1&allowWatchBookmarks=1`)
  const told = take(watch, 2)
  await eventually(() => (api.server.faults()[0]?.met ?? 0) > 3)
  await label(api, '1')
  assert.deepEqual(
    (await told).map(event => event.type),
    ['ADDED', 'MODIFIED'],
  )
})

test('a server that is down refuses connections, and is back at the same port with all it knew', async () => {
  await using api = await withNode()
  const watch = api.admin.watch(`${NODES}?watch=1`)
  await take(watch, 1)
  await api.server.down()
  await assert.rejects(watch.next())
  await assert.rejects(api.admin.get(NODES), /ECONNREFUSED/)
  await api.server.up()
  assert.deepEqual(namesIn(await api.admin.get(NODES)), ['n1'])
})

test('a half-open server accepts a connection and says nothing', async () => {
  await using api = await withNode()
  api.server.halfOpen(true)
  const socket = connect(api.server.port, '127.0.0.1')
  await once(socket, 'connect')
  const signal = AbortSignal.timeout(200)
  await assert.rejects(api.client(api.server.adminToken).request('GET', NODES, { signal }))
  socket.destroy()
  api.server.halfOpen(false)
  assert.equal((await api.client(api.server.adminToken).get(NODES)).status, 200)
})

const post = (client: ApiClient, fault: object) => client.create('/faults', fault)

test('faults are set over HTTP by the administrator alone', async () => {
  await using api = await withNode()
  assert.equal((await post(api.client(api.server.user('somebody')), { kind: 'hang' })).status, 403)
  assert.match(refusalOf(await post(api.admin, { kind: 'odd' })), /^400 BadRequest: kind must be one of silent-watch, /)
  assert.match(refusalOf(await post(api.admin, { kind: 'slow', delay: 1 })), /^400 BadRequest: a fault has no delay$/)
  const { json } = await post(api.admin, { kind: 'error', code: 503, resource: 'nodes', count: 5 })
  assert.equal((await api.admin.get(NODES)).status, 503)
  assert.equal(
    (await api.admin.get('/faults')).text,
    '[{"id":1,"kind":"error","resource":"nodes","count":5,"code":503,"remaining":4,"met":1}]\n',
  )
  assert.equal((await api.admin.delete(`/faults/${Number(json['id'])}`)).status, 200)
  assert.equal((await api.admin.get(NODES)).status, 200)
})

test('a server told over HTTP to go away comes back by itself', async () => {
  await using api = await withNode()
  assert.match(refusalOf(await post(api.admin, { kind: 'down' })), /^400 BadRequest: forMs must say for how long/)
  await post(api.admin, { kind: 'down', forMs: 300 })
  await eventually(() =>
    api.admin.get(NODES).then(
      () => false,
      () => true,
    ),
  )
  await eventually(() =>
    api.admin.get(NODES).then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
})

test('history is forgotten on request', async () => {
  await using api = await withNode()
  await post(api.admin, { kind: 'forget' })
  const [event] = await take(api.admin.watch(`${NODES}?watch=1&resourceVersion=2`), 1)
  assert.equal(event?.type, 'ERROR')
})

test('counters tell requests, answers, bytes and what is open', async () => {
  await using api = await withNode()
  await api.admin.delete('/counters')
  await api.admin.get(NODES)
  await api.admin.get(`${NODES}/none`)
  const watch = api.admin.watch(`${NODES}?watch=1`)
  const [event] = await take(watch, 1)
  const counts = api.server.counters()
  assert.deepEqual(counts.requests, { 'list nodes': 1, 'get nodes': 1, 'watch nodes': 1 })
  assert.deepEqual(counts.answers, { 200: 3, 404: 1 })
  assert.deepEqual(counts.openWatches, { nodes: 1 })
  assert.deepEqual(counts.watchEvents, { nodes: 1 })
  assert.equal(counts.watchBytes['nodes'], `${JSON.stringify(event)}\n`.length)
  assert.equal(counts.openConnections, 1)
  await watch.return(undefined)
  await eventually(() => api.server.counters().openWatches['nodes'] === 0)
})

test('clients that go before their answer comes do no harm', async () => {
  await using api = await withNode()
  const fault = api.server.addFault({ kind: 'slow', delayMs: 100, bytesPerSecond: 200 })
  const client = api.client(api.server.adminToken)
  for (const path of [NODES, `${NODES}?watch=1`, `${NODES}/none`]) {
    const signal = AbortSignal.timeout(30)
    await assert.rejects(client.request('GET', path, { signal }))
  }
  const gone = api.client(api.server.adminToken)
  const asked = assert.rejects(gone.get(NODES))
  await eventually(() => (api.server.counters().requests['list nodes'] ?? 0) >= 2)
  await gone[Symbol.asyncDispose]()
  await asked
  const overHttp1 = request(`${api.server.url}${NODES}`, {
    ca: api.server.ca,
    headers: { authorization: `Bearer ${api.server.adminToken}` },
  })
  overHttp1.on('error', () => {}).end()
  await eventually(() => (api.server.counters().requests['list nodes'] ?? 0) >= 3)
  overHttp1.destroy()
  await eventually(() => fault.met >= 4)
  await new Promise(resolve => setTimeout(resolve, 300)) // the answers' own time
  api.server.clearFaults()
  assert.equal((await api.admin.get(NODES)).status, 200)
})
