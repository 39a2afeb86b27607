import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  configMap,
  node,
  refusalOf,
  startTestApi,
  type TestApi,
  versionOf,
} from '../../../../test/support/api-server.ts'
import { listAt, objectAt, textAt, valueAt } from '../objects/json.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
})
after(() => api[Symbol.asyncDispose]())

const MAPS = '/api/v1/namespaces/default/configmaps'
const STRATEGIC = 'application/strategic-merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'

test('a new object gets a uid, a time and a version', async () => {
  const { status, json } = await api.admin.create(MAPS, configMap('made', { a: '1' }))
  assert.equal(status, 201)
  assert.match(textAt(json, 'metadata', 'uid'), /^[0-9a-f-]{36}$/)
  assert.match(textAt(json, 'metadata', 'creationTimestamp'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.match(versionOf(json), /^\d+$/)
  assert.equal(textAt(json, 'metadata', 'namespace'), 'default')
})

test('a name that is only begun is finished', async () => {
  const { json } = await api.admin.create(MAPS, { metadata: { generateName: 'begun-' } })
  assert.match(textAt(json, 'metadata', 'name'), /^begun-[a-z0-9]{5}$/)
})

for (const [what, path, body, want] of [
  [
    'a name that is there',
    '/api/v1/namespaces',
    { metadata: { name: 'default' } },
    '409 AlreadyExists: namespaces "default" already exists',
  ],
  [
    'a namespace that is not',
    '/api/v1/namespaces/none/configmaps',
    configMap('x'),
    '404 NotFound: namespaces "none" not found',
  ],
  [
    'no name',
    '/api/v1/nodes',
    { metadata: {} },
    '422 Invalid: Node "" is invalid: metadata.name: Required value: name or generateName is required',
  ],
  [
    'another kind',
    MAPS,
    { kind: 'Secret', metadata: { name: 'x' } },
    '400 BadRequest: Secret in version "v1" cannot be handled as a ConfigMap',
  ],
  [
    'another version',
    MAPS,
    { apiVersion: 'v2', metadata: { name: 'x' } },
    '400 BadRequest: the API version in the data (v2) does not match the expected API version (v1)',
  ],
  [
    'another namespace',
    MAPS,
    configMap('x', {}, { namespace: 'kube-system' }),
    '400 BadRequest: the namespace of the provided object does not match the namespace sent on the request',
  ],
  [
    'a version of its own',
    MAPS,
    configMap('x', {}, { resourceVersion: '1' }),
    '400 BadRequest: resourceVersion should not be set on objects to be created',
  ],
] as const)
  test(`create: ${what} is refused`, async () => {
    assert.equal(refusalOf(await api.admin.create(path, body)), want)
  })

test('create: a name that cannot be one is refused, with its field', async () => {
  const answer = await api.admin.create('/api/v1/nodes', node('Not_A_Name'))
  assert.equal(answer.status, 422)
  assert.equal(textAt(listAt(answer.json, 'details', 'causes')[0], 'field'), 'metadata.name')
})

test('an update of what somebody else has changed since is a conflict', async () => {
  const { json } = await api.admin.create(MAPS, configMap('fought', { a: '1' }))
  const version = versionOf(json)
  const update = (value: string) =>
    api.admin.update(`${MAPS}/fought`, configMap('fought', { a: value }, { resourceVersion: version }))
  assert.equal((await update('2')).status, 200)
  assert.equal(
    refusalOf(await update('3')),
    '409 Conflict: Operation cannot be fulfilled on configmaps "fought": the object has been modified; please apply your changes to the latest version and try again',
  )
  const patched = await api.admin.patch(`${MAPS}/fought`, { metadata: { resourceVersion: version }, data: { a: '4' } })
  assert.equal(patched.status, 409)
  assert.equal((await api.admin.update(`${MAPS}/fought`, configMap('fought', { a: '5' }))).status, 200)
})

test('a lease is not overwritten by who does not say what they have seen', async () => {
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
  const lease = { metadata: { name: 'leader' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } }
  const { json } = await api.admin.create(path, lease)
  assert.equal((await api.admin.update(`${path}/leader`, lease)).status, 422)
  const held = {
    ...lease,
    metadata: { name: 'leader', resourceVersion: versionOf(json) },
    spec: { holderIdentity: 'b' },
  }
  assert.equal(textAt((await api.admin.update(`${path}/leader`, held)).json, 'spec', 'holderIdentity'), 'b')
  assert.equal((await api.admin.update(`${path}/leader`, held)).status, 409)
})

test('what is fixed stays: uid, creation, name', async () => {
  const { json } = await api.admin.create(MAPS, configMap('fixed'))
  const moved = await api.admin.patch(`${MAPS}/fixed`, {
    metadata: { creationTimestamp: '2001-01-01T00:00:00Z', uid: null },
  })
  assert.deepEqual(valueAt(moved.json, 'metadata', 'creationTimestamp'), valueAt(json, 'metadata', 'creationTimestamp'))
  assert.equal(textAt(moved.json, 'metadata', 'uid'), textAt(json, 'metadata', 'uid'))
})

test('a status is written by itself, and by nothing else', async () => {
  await api.admin.create('/api/v1/nodes', node('parts', { spec: { podCIDR: '10.0.0.0/24' } }))
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await api.admin.patch('/api/v1/nodes/parts/status', { status, spec: { unschedulable: true } })
  const { json } = await api.admin.patch('/api/v1/nodes/parts', {
    status: { conditions: [] },
    spec: { providerID: 'x' },
  })
  assert.deepEqual(objectAt(json, 'status'), status)
  assert.deepEqual(objectAt(json, 'spec'), { podCIDR: '10.0.0.0/24', providerID: 'x' })
})

test('a strategic merge patch merges conditions by type and replaces taints', async () => {
  const taint = (key: string) => ({ key, effect: 'NoSchedule' })
  const condition = (type: string, value: string) => ({ type, status: value })
  await api.admin.create('/api/v1/nodes', node('merged', { spec: { taints: [taint('a'), taint('b')] } }))
  const status = { conditions: [condition('Ready', 'True'), condition('DiskPressure', 'False')] }
  await api.admin.patch('/api/v1/nodes/merged/status', { status })
  const change = { status: { conditions: [condition('NetworkUnavailable', 'False'), condition('Ready', 'False')] } }
  const changed = await api.admin.patch('/api/v1/nodes/merged/status', change, STRATEGIC)
  assert.deepEqual(
    listAt(changed.json, 'status', 'conditions').map(c => `${textAt(c, 'type')}=${textAt(c, 'status')}`),
    ['Ready=False', 'DiskPressure=False', 'NetworkUnavailable=False'],
  )
  const tainted = await api.admin.patch('/api/v1/nodes/merged', { spec: { taints: [taint('c')] } }, STRATEGIC)
  assert.deepEqual(listAt(tainted.json, 'spec', 'taints'), [taint('c')])
})

test('a JSON patch is carried out whole or not at all', async () => {
  await api.admin.create(MAPS, configMap('steps', { a: '1' }))
  const failing = [
    { op: 'replace', path: '/data/a', value: '2' },
    { op: 'test', path: '/data/a', value: '9' },
  ]
  assert.equal((await api.admin.patch(`${MAPS}/steps`, failing, JSON_PATCH)).status, 422)
  const { json } = await api.admin.patch(`${MAPS}/steps`, [{ op: 'add', path: '/data/b~1c', value: '3' }], JSON_PATCH)
  assert.deepEqual(valueAt(json, 'data'), { a: '1', 'b/c': '3' })
})

test('a patch in a language that is not spoken is refused', async () => {
  const answer = await api.admin.patch(`${MAPS}/steps`, {}, 'text/plain')
  assert.match(refusalOf(answer), /^415 UnsupportedMediaType: the body of the request was in an unknown format/)
})

test('a dry run answers as if, and changes nothing', async () => {
  const made = await api.admin.create(`${MAPS}?dryRun=All`, configMap('dry', { a: '1' }))
  assert.equal(made.status, 201)
  assert.equal((await api.admin.get(`${MAPS}/dry`)).status, 404)
  await api.admin.create(MAPS, configMap('dry', { a: '1' }))
  const patched = await api.admin.patch(`${MAPS}/dry?dryRun=All`, { data: { a: '2' } })
  assert.equal(textAt(patched.json, 'data', 'a'), '2')
  assert.equal((await api.admin.delete(`${MAPS}/dry?dryRun=All`)).status, 200)
  assert.equal(textAt((await api.admin.get(`${MAPS}/dry`)).json, 'data', 'a'), '1')
})

test('generation counts changes of what is wanted, not of metadata and status', async () => {
  const path = '/apis/apps/v1/namespaces/default/daemonsets'
  const { json } = await api.admin.create(path, { metadata: { name: 'counted' }, spec: { minReadySeconds: 1 } })
  assert.equal(valueAt(json, 'metadata', 'generation'), 1)
  await api.admin.patch(`${path}/counted`, { metadata: { labels: { a: 'b' } } })
  await api.admin.patch(`${path}/counted/status`, { status: { numberReady: 1 } })
  const changed = await api.admin.patch(`${path}/counted`, { spec: { minReadySeconds: 2 } })
  assert.equal(valueAt(changed.json, 'metadata', 'generation'), 2)
})

test('a service without an address gets one that is free', async () => {
  const path = '/api/v1/namespaces/default/services'
  const make = async (name: string, spec: object) =>
    textAt(
      (await api.admin.create(path, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } })).json,
      'spec',
      'clusterIP',
    )
  const [first, second] = [await make('one', {}), await make('two', {})]
  assert.match(first, /^10\.96\./)
  assert.notEqual(first, second)
  assert.equal(await make('headless', { clusterIP: 'None' }), 'None')
})

test('a scale is read and set', async () => {
  const path = '/apis/apps/v1/namespaces/default/deployments'
  const spec = { replicas: 2, selector: { matchLabels: { app: 'x' } } }
  await api.admin.create(path, { metadata: { name: 'scaled' }, spec })
  const { json } = await api.admin.get(`${path}/scaled/scale`)
  assert.deepEqual(
    [textAt(json, 'kind'), valueAt(json, 'spec', 'replicas'), textAt(json, 'status', 'selector')],
    ['Scale', 2, 'app=x'],
  )
  await api.admin.patch(`${path}/scaled/scale`, { spec: { replicas: 5 } })
  assert.equal(valueAt((await api.admin.get(`${path}/scaled`)).json, 'spec', 'replicas'), 5)
})

test('a pod is bound once, and to somewhere', async () => {
  const pods = '/api/v1/namespaces/default/pods'
  await api.admin.create(pods, { metadata: { name: 'bound' }, spec: { containers: [] } })
  const bind = (target: object) => api.admin.create(`${pods}/bound/binding`, { target })
  assert.match(refusalOf(await bind({})), /^422 Invalid: .*target\.name: Required value/)
  assert.equal((await bind({ name: 'n1' })).status, 201)
  assert.match(refusalOf(await bind({ name: 'n2' })), /^409 Conflict: .*pod bound is already assigned to node "n1"$/)
})

test('a body that is no object asks for nothing in particular of a token', async () => {
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token'
  const { status, json } = await api.admin.request('POST', path, { body: [] })
  assert.equal(status, 201)
  assert.equal(textAt(json, 'status', 'token'), api.server.serviceAccount('default', 'default'))
})

test('a body that is too long is refused with words', async () => {
  const answer = await api.admin.create(MAPS, configMap('long', { a: 'x'.repeat(4 * 1024 * 1024) }))
  assert.equal(refusalOf(answer), '413 RequestEntityTooLarge: Request entity too large: limit is 3145728')
  assert.equal((await api.admin.get(`${MAPS}/long`)).status, 404)
})
