import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namesIn, startTestApi, take, versionOf } from '../../../test/support/api-server.ts'
import { textAt } from './objects/json.ts'
import type { KubeObject } from './objects/kube-object.ts'

/** Ten thousand slices of ten endpoints, as large as those of a real cluster. */
function* slices(count: number): Generator<KubeObject> {
  for (let i = 0; i < count; i++)
    yield {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `service-${i}-abcde`,
        namespace: `team-${i % 50}`,
        labels: { 'kubernetes.io/service-name': `service-${i}`, 'endpointslice.kubernetes.io/managed-by': 'loader' },
      },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: Array.from({ length: 10 }, (_, n) => ({
        addresses: [`10.${i >> 8}.${i & 255}.${n}`],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: `node-${(i * 10 + n) % 5000}`,
        targetRef: { kind: 'Pod', namespace: `team-${i % 50}`, name: `service-${i}-${n}`, uid: `${i}-${n}` },
      })),
    }
}

const SLICES = '/apis/discovery.k8s.io/v1/endpointslices'

test('10,000 slices are loaded and listed in pages, faster than any client reads them', async () => {
  await using api = await startTestApi()
  const loading = performance.now()
  api.server.load(slices(10_000))
  const listing = performance.now()
  let [token, count, bytes, version] = ['', 0, 0, '']
  do {
    const page = await api.admin.get(`${SLICES}?limit=500${token === '' ? '' : `&continue=${token}`}`)
    count += namesIn(page).length
    bytes += page.text.length
    version = versionOf(page.json)
    token = textAt(page.json, 'metadata', 'continue')
  } while (token !== '')
  const done = performance.now()
  assert.equal(count, 10_000)
  assert.ok(bytes > 15e6, `${bytes} bytes`)
  // Half of each is this test's own: making the objects, reading the JSON. Ten times what two quiet cores take.
  assert.ok(listing - loading < 10_000, `loaded in ${listing - loading} ms`)
  assert.ok(done - listing < 10_000, `listed in ${done - listing} ms`)
  const watch = api.admin.watch(`${SLICES}?watch=1&resourceVersion=${version}`)
  const path = '/apis/discovery.k8s.io/v1/namespaces/team-1/endpointslices/service-1-abcde'
  const told = take(watch, 1)
  await api.admin.patch(path, { metadata: { labels: { changed: 'yes' } } })
  assert.equal((await told)[0]?.type, 'MODIFIED')
})

test('a page of a snapshot is not slower for what has changed since', async () => {
  await using api = await startTestApi()
  api.server.load(slices(5_000))
  const first = await api.admin.get(`${SLICES}?limit=500`)
  for (let i = 0; i < 300; i++)
    await api.admin.patch(`/apis/discovery.k8s.io/v1/namespaces/team-${i % 50}/endpointslices/service-${i}-abcde`, {
      metadata: { labels: { i: `${i}` } },
    })
  const started = performance.now()
  const page = await api.admin.get(`${SLICES}?limit=4500&continue=${textAt(first.json, 'metadata', 'continue')}`)
  assert.equal(namesIn(page).length, 4500)
  assert.ok(performance.now() - started < 5_000)
  assert.doesNotMatch(page.text, /"labels":\{[^}]*"i":/)
})

test('what is loaded is of before any watch', async () => {
  await using api = await startTestApi()
  const before = versionOf((await api.admin.get(SLICES)).json)
  api.server.load(slices(1))
  const [event] = await take(api.admin.watch(`${SLICES}?watch=1&resourceVersion=${before}`), 1)
  assert.equal(event?.type, 'ERROR')
})

test('a kind that is not served is not loaded', async () => {
  await using api = await startTestApi()
  assert.throws(
    () => api.server.load([{ apiVersion: 'a.example/v1', kind: 'Thing', metadata: { name: 'x' } }]),
    /no kind Thing in a.example\/v1 is served/,
  )
})
