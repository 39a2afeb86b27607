import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  eventText,
  node,
  refusalOf,
  startTestApi,
  take,
  type TestApi,
  versionOf,
} from '../../../../test/support/api-server.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { textAt, valueAt } from '../objects/json.ts'

async function withNodes(options: Parameters<typeof startTestApi>[0] = {}): Promise<TestApi> {
  const api = await startTestApi(options)
  for (const name of ['n1', 'n2']) await api.admin.create('/api/v1/nodes', node(name))
  return api
}

const label = (api: TestApi, name: string, labels: object) =>
  api.admin.patch(`/api/v1/nodes/${name}`, { metadata: { labels } })

test('a watch from a version tells what happened since, and goes on', async () => {
  await using api = await withNodes()
  const from = versionOf((await api.admin.get('/api/v1/nodes')).json)
  await label(api, 'n1', { a: '1' })
  const watch = api.admin.watch(`/api/v1/nodes?watch=1&resourceVersion=${from}`)
  const [first] = await take(watch, 1)
  await api.admin.delete('/api/v1/nodes/n2')
  await api.admin.create('/api/v1/nodes', node('n3'))
  const events = [first, ...(await take(watch, 2))].map(event => event && eventText(event))
  assert.deepEqual(events, ['MODIFIED n1', 'DELETED n2', 'ADDED n3'])
})

test('what has gone is told with the version of its end', async () => {
  await using api = await withNodes()
  const { json } = await api.admin.get('/api/v1/nodes/n1')
  const watch = api.admin.watch('/api/v1/nodes?watch=1')
  await take(watch, 2)
  await api.admin.delete('/api/v1/nodes/n1')
  const [event] = await take(watch, 1)
  assert.ok(Number(versionOf(event?.object ?? {})) > Number(versionOf(json)))
  assert.equal(textAt(event?.object, 'kind'), 'Node')
})

for (const version of ['', '0'])
  test(`a watch from version "${version}" begins with everything there is`, async () => {
    await using api = await withNodes()
    const watch = api.admin.watch(`/api/v1/nodes?watch=1&resourceVersion=${version}`)
    assert.deepEqual(
      (await take(watch, 2)).map(event => eventText(event)),
      ['ADDED n1', 'ADDED n2'],
    )
  })

test('initial events end with a bookmark that says so', async () => {
  await using api = await withNodes()
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const watch = api.admin.watch(`/api/v1/nodes?${query}`)
  const events = await take(watch, 3)
  assert.deepEqual(
    events.map(
      event => `${event.type} ${textAt(event.object, 'metadata', 'annotations', 'k8s.io/initial-events-end')}`,
    ),
    ['ADDED ', 'ADDED ', 'BOOKMARK true'],
  )
  await api.admin.create('/api/v1/nodes', node('n3'))
  assert.deepEqual(
    (await take(watch, 1)).map(event => eventText(event)),
    ['ADDED n3'],
  )
})

test('initial events without a match are refused', async () => {
  await using api = await withNodes()
  assert.match(
    refusalOf(await api.admin.get('/api/v1/nodes?watch=1&sendInitialEvents=true')),
    /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan$/,
  )
})

test('bookmarks bring the newest version of all resources', async () => {
  await using api = await withNodes({ bookmarkMs: 20 })
  const from = versionOf((await api.admin.get('/api/v1/nodes')).json)
  await api.admin.create('/api/v1/namespaces', { metadata: { name: 'other' } })
  const watch = api.admin.watch(`/api/v1/nodes?watch=1&allowWatchBookmarks=1&resourceVersion=${from}`)
  const [event] = await take(watch, 1)
  assert.equal(event?.type, 'BOOKMARK')
  assert.ok(Number(versionOf(event.object)) > Number(from))
  assert.deepEqual(Object.keys(event.object), ['kind', 'apiVersion', 'metadata'])
})

test('a version older than the history is an ERROR event with 410', async () => {
  await using api = await withNodes()
  const from = versionOf((await api.admin.get('/api/v1/nodes')).json)
  await label(api, 'n1', { a: '1' })
  api.server.forget()
  const watch = api.admin.watch(`/api/v1/nodes?watch=1&resourceVersion=${from}`)
  const [event] = await take(watch, 1)
  assert.equal(event?.type, 'ERROR')
  assert.equal(valueAt(event.object, 'code'), 410)
  assert.match(textAt(event.object, 'message'), /^too old resource version: \d+ \(\d+\)$/)
  assert.equal((await watch.next()).done, true)
})

test('the history of a resource is as long as it was made', async () => {
  await using api = await withNodes({ historyLimit: 4 })
  const version = async (): Promise<string> => versionOf((await api.admin.get('/api/v1/nodes')).json)
  const first = async (from: string): Promise<string | undefined> =>
    (await take(api.admin.watch(`/api/v1/nodes?watch=1&resourceVersion=${from}`), 1))[0]?.type
  const from = await version()
  for (let i = 0; i < 8; i++) await label(api, 'n1', { i: `${i}` })
  const kept = await version()
  for (let i = 8; i < 12; i++) await label(api, 'n1', { i: `${i}` })
  assert.deepEqual([await first(from), await first(kept)], ['ERROR', 'MODIFIED'])
})

test('an object that leaves the selection is deleted for who watches it, one that enters is added', async () => {
  await using api = await withNodes()
  const watch = api.admin.watch('/api/v1/nodes?watch=1&labelSelector=role%3Dgateway')
  const told = take(watch, 3)
  await eventually(() => api.server.counters().openWatches['nodes'] === 1)
  await label(api, 'n1', { role: 'gateway' })
  await label(api, 'n2', { role: 'other' })
  await label(api, 'n1', { extra: 'yes' })
  await label(api, 'n1', { role: null })
  assert.deepEqual(
    (await told).map(event => eventText(event, 'metadata', 'labels', 'role')),
    ['ADDED n1 gateway', 'MODIFIED n1 gateway', 'DELETED n1 gateway'],
  )
})

test('a watch ends when its time is over', async () => {
  await using api = await withNodes()
  const started = performance.now()
  const watch = api.admin.watch('/api/v1/nodes?watch=1&timeoutSeconds=1')
  await take(watch, 2)
  assert.equal((await watch.next()).done, true)
  assert.ok(performance.now() - started > 900)
  await eventually(() => api.server.counters().openWatches['nodes'] === 0)
})

test('a watch of a namespace hears nothing of others', async () => {
  await using api = await withNodes()
  await api.admin.create('/api/v1/namespaces', { metadata: { name: 'defaults' } })
  const watch = api.admin.watch('/api/v1/namespaces/default/configmaps?watch=1')
  const told = take(watch, 1)
  await eventually(() => api.server.counters().openWatches['configmaps'] === 1)
  await api.admin.create('/api/v1/namespaces/defaults/configmaps', { metadata: { name: 'far' } })
  await api.admin.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'near' } })
  assert.deepEqual(
    (await told).map(event => eventText(event)),
    ['ADDED near'],
  )
})

test('a change that changes nothing is no event and no new version', async () => {
  await using api = await withNodes()
  const first = await label(api, 'n1', { a: '1' })
  const again = await label(api, 'n1', { a: '1' })
  assert.equal(versionOf(again.json), versionOf(first.json))
})

test('the client says of a watch that is refused what it was answered', async () => {
  await using api = await withNodes()
  const stranger = api.client(api.server.user('stranger'))
  await assert.rejects(
    stranger.watch('/api/v1/nodes?watch=1').next(),
    /the watch is refused: 403 .*cannot watch resource/,
  )
})

test('a version that is none is refused before the watch begins', async () => {
  await using api = await withNodes()
  assert.match(
    refusalOf(await api.admin.get('/api/v1/nodes?watch=1&resourceVersion=new')),
    /^400 BadRequest: resourceVersion: /,
  )
})

test('a watch that is to last for years does not end at once', async () => {
  await using api = await withNodes({ bookmarkMs: 10 })
  const watch = api.admin.watch('/api/v1/nodes?watch=1&timeoutSeconds=100000000&allowWatchBookmarks=1')
  const types = (await take(watch, 5)).map(event => event.type)
  assert.deepEqual(types, ['ADDED', 'ADDED', 'BOOKMARK', 'BOOKMARK', 'BOOKMARK'])
})
