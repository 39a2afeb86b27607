import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { namesIn, node, refusalOf, startTestApi, type TestApi, versionOf } from '../../../../test/support/api-server.ts'
import { listAt, textAt, valueAt } from '../objects/json.ts'

let api: TestApi
/** The version after n1 to n5 were made, before n6 was and n2 went. */
let early: string
before(async () => {
  api = await startTestApi()
  for (const n of [1, 2, 3, 4, 5])
    await api.admin.create(
      '/api/v1/nodes',
      node(`n${n}`, { metadata: { name: `n${n}`, labels: { n: `${n}`, kind: n % 2 === 0 ? 'even' : 'odd' } } }),
    )
  early = versionOf((await api.admin.get('/api/v1/nodes')).json)
  await api.admin.create('/api/v1/nodes', node('n6'))
  await api.admin.delete('/api/v1/nodes/n2')
  for (const [name, nodeName] of [
    ['a', 'n1'],
    ['b', 'n1'],
    ['c', 'n3'],
  ])
    await api.admin.create('/api/v1/namespaces/default/pods', {
      metadata: { name },
      spec: { nodeName, containers: [] },
    })
})
after(() => api[Symbol.asyncDispose]())

const list = (query: string) => api.admin.get(`/api/v1/nodes?${query}`)

test('a list says its kind and version, its items of a kind of Kubernetes do not', async () => {
  const { json } = await list('')
  assert.equal(`${textAt(json, 'apiVersion')} ${textAt(json, 'kind')}`, 'v1 NodeList')
  assert.deepEqual(namesIn(await list('')), ['n1', 'n3', 'n4', 'n5', 'n6'])
  assert.equal(valueAt(listAt(json, 'items')[0], 'kind'), undefined)
})

for (const [what, query, want] of [
  ['no version is the newest', 'resourceVersion=', 'n1 n3 n4 n5 n6'],
  ['version 0 is any', 'resourceVersion=0', 'n1 n3 n4 n5 n6'],
  ['a version is the oldest that will do', 'resourceVersion=EARLY', 'n1 n3 n4 n5 n6'],
  ['a version matched exactly is that one', 'resourceVersion=EARLY&resourceVersionMatch=Exact', 'n1 n2 n3 n4 n5'],
  ['a version with a limit is that one', 'resourceVersion=EARLY&limit=10', 'n1 n2 n3 n4 n5'],
  [
    'not older with a limit is the newest',
    'resourceVersion=EARLY&limit=10&resourceVersionMatch=NotOlderThan',
    'n1 n3 n4 n5 n6',
  ],
] as const)
  test(`list: ${what}`, async () => {
    assert.equal(namesIn(await list(query.replace('EARLY', early))).join(' '), want)
  })

for (const [what, query, want] of [
  [
    'a version from the future',
    'resourceVersion=99999',
    /^504 Timeout: .*Too large resource version: 99999, current: \d+$/,
  ],
  [
    'a match without a version',
    'resourceVersionMatch=Exact',
    /^422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided$/,
  ],
  ['a token with a version', 'continue=x&resourceVersion=5', /^400 BadRequest/],
  ['a token that is none', 'continue=x', /^400 BadRequest: continue key is not valid/],
  ['a field it has not', 'fieldSelector=spec.x=1', /^400 BadRequest: field label not supported: spec.x$/],
  ['a version that is no number', 'resourceVersion=x', /^400 BadRequest/],
] as const)
  test(`list: ${what} is refused`, async () => {
    assert.match(refusalOf(await list(query)), want)
  })

test('pages show one snapshot, whatever happens between them', async () => {
  await using own = await startTestApi()
  for (const n of [1, 2, 3, 4, 5]) await own.admin.create('/api/v1/nodes', node(`n${n}`))
  const first = await own.admin.get('/api/v1/nodes?limit=2')
  assert.equal(valueAt(first.json, 'metadata', 'remainingItemCount'), 3)
  await own.admin.delete('/api/v1/nodes/n3')
  await own.admin.create('/api/v1/nodes', node('n2b'))
  await own.admin.patch('/api/v1/nodes/n4', { metadata: { labels: { late: 'yes' } } })
  const token = textAt(first.json, 'metadata', 'continue')
  const second = await own.admin.get(`/api/v1/nodes?limit=9&continue=${token}`)
  assert.deepEqual([...namesIn(first), ...namesIn(second)], ['n1', 'n2', 'n3', 'n4', 'n5'])
  assert.equal(versionOf(second.json), versionOf(first.json))
  assert.equal(valueAt(listAt(second.json, 'items')[1], 'metadata', 'labels'), undefined)
  assert.equal(valueAt(second.json, 'metadata', 'continue'), undefined)
})

test('a token older than the history is answered 410 with one that goes on with what is there now', async () => {
  await using own = await startTestApi()
  for (const n of [1, 2, 3, 4]) await own.admin.create('/api/v1/nodes', node(`n${n}`))
  const first = await own.admin.get('/api/v1/nodes?limit=2')
  await own.admin.delete('/api/v1/nodes/n3')
  own.server.forget()
  const token = textAt(first.json, 'metadata', 'continue')
  const late = await own.admin.get(`/api/v1/nodes?limit=2&continue=${token}`)
  assert.match(refusalOf(late), /^410 Expired: The provided continue parameter is too old to display a consistent list/)
  const on = await own.admin.get(`/api/v1/nodes?limit=2&continue=${textAt(late.json, 'metadata', 'continue')}`)
  assert.deepEqual(namesIn(on), ['n4'])
})

test('an exact version older than the history is answered 410', async () => {
  await using own = await startTestApi()
  own.server.forget()
  assert.match(refusalOf(await own.admin.get('/api/v1/nodes?resourceVersion=2&limit=1')), /^410 Expired: /)
})

for (const [selector, want] of [
  ['kind=odd', 'n1 n3 n5'],
  ['kind==odd,n!=3', 'n1 n5'],
  ['n in (1,4)', 'n1 n4'],
  ['n notin (1,4)', 'n3 n5 n6'],
  ['n', 'n1 n3 n4 n5'],
  ['!n', 'n6'],
] as const)
  test(`labels: ${selector}`, async () => {
    assert.equal(namesIn(await list(`labelSelector=${encodeURIComponent(selector)}`)).join(' '), want)
  })

for (const [selector, want] of [
  ['spec.nodeName=n1', 'a b'],
  ['spec.nodeName!=n1', 'c'],
  ['metadata.name=c', 'c'],
  ['metadata.namespace=default,spec.nodeName=n3', 'c'],
  ['metadata.namespace=other', ''],
] as const)
  test(`fields: ${selector}`, async () => {
    const found = await api.admin.get(`/api/v1/pods?fieldSelector=${encodeURIComponent(selector)}`)
    assert.equal(namesIn(found).join(' '), want)
  })

test('metadata alone is answered to whoever asks for that', async () => {
  const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
  const { json } = await api.admin.request('GET', '/api/v1/pods', { accept })
  assert.equal(textAt(json, 'kind'), 'PartialObjectMetadataList')
  assert.deepEqual(Object.keys(listAt(json, 'items')[0] as object), ['kind', 'apiVersion', 'metadata'])
})
