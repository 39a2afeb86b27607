import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { configMap, namesIn, node, refusalOf, startTestApi, type TestApi } from '../../../../test/support/api-server.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { textAt, valueAt } from '../objects/json.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
})
after(() => api[Symbol.asyncDispose]())

const MAPS = '/api/v1/namespaces/default/configmaps'
const gone = async (path: string) => (await api.admin.get(path)).status === 404

async function owner(
  name: string,
): Promise<{ owner: string; owned: (child: string, more?: object[]) => Promise<object> }> {
  const { json } = await api.admin.create('/api/v1/nodes', node(name))
  const uid = textAt(json, 'metadata', 'uid')
  const reference = { apiVersion: 'v1', kind: 'Node', name, uid, blockOwnerDeletion: true }
  return {
    owner: uid,
    owned: async (child, more = []) => {
      await api.admin.create(MAPS, configMap(child, {}, { ownerReferences: [reference, ...more] }))
      return reference
    },
  }
}

test('what is deleted is gone, and the answer says what it was', async () => {
  await api.admin.create(MAPS, configMap('short'))
  const { json } = await api.admin.delete(`${MAPS}/short`)
  assert.deepEqual([textAt(json, 'status'), textAt(json, 'details', 'name')], ['Success', 'short'])
  assert.equal(refusalOf(await api.admin.delete(`${MAPS}/short`)), '404 NotFound: configmaps "short" not found')
})

test('finalizers hold an object until the last is taken away, and no new one comes', async () => {
  await api.admin.create(MAPS, configMap('held', {}, { finalizers: ['a.example/x', 'a.example/y'] }))
  await api.admin.delete(`${MAPS}/held`)
  const { json } = await api.admin.get(`${MAPS}/held`)
  assert.match(textAt(json, 'metadata', 'deletionTimestamp'), /^\d{4}-/)
  const more = await api.admin.patch(`${MAPS}/held`, { metadata: { finalizers: ['a.example/x', 'a.example/z'] } })
  assert.match(
    refusalOf(more),
    /no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"a.example\/z"\}/,
  )
  await api.admin.patch(`${MAPS}/held`, { metadata: { finalizers: ['a.example/x'] } })
  assert.equal(await gone(`${MAPS}/held`), false)
  await api.admin.patch(`${MAPS}/held`, { metadata: { finalizers: null } })
  assert.equal(await gone(`${MAPS}/held`), true)
})

test('a deletion may say which object it means', async () => {
  await api.admin.create(MAPS, configMap('meant'))
  const answer = await api.admin.delete(`${MAPS}/meant`, { preconditions: { uid: 'another' } })
  assert.match(refusalOf(answer), /^409 Conflict: .*Precondition failed: UID in precondition: another/)
})

test('what an owner leaves behind goes too', async () => {
  const { owned } = await owner('parent')
  await owned('child')
  await api.admin.delete('/api/v1/nodes/parent')
  await eventually(() => gone(`${MAPS}/child`))
})

test('what has another owner stays and loses the one that went', async () => {
  const other = await owner('other-parent')
  const reference = await other.owned('unused')
  const { owned } = await owner('one-parent')
  await owned('shared', [reference])
  await api.admin.delete('/api/v1/nodes/one-parent')
  await eventually(async () => {
    const { json } = await api.admin.get(`${MAPS}/shared`)
    return JSON.stringify(valueAt(json, 'metadata', 'ownerReferences')) === JSON.stringify([reference])
  })
})

test('an owner deleted in the foreground waits for what it owns', async () => {
  const { owned } = await owner('patient')
  await owned('slow')
  await api.admin.patch(`${MAPS}/slow`, { metadata: { finalizers: ['a.example/slow'] } })
  await api.admin.delete('/api/v1/nodes/patient', { propagationPolicy: 'Foreground' })
  await eventually(
    async () => textAt((await api.admin.get(`${MAPS}/slow`)).json, 'metadata', 'deletionTimestamp') !== '',
  )
  assert.equal(await gone('/api/v1/nodes/patient'), false)
  await api.admin.patch(`${MAPS}/slow`, { metadata: { finalizers: null } })
  await eventually(() => gone('/api/v1/nodes/patient'))
})

test('what is orphaned stays without its owner', async () => {
  const { owned } = await owner('careless')
  await owned('orphan')
  await api.admin.delete('/api/v1/nodes/careless', { propagationPolicy: 'Orphan' })
  await eventually(() => gone('/api/v1/nodes/careless'))
  const { json } = await api.admin.get(`${MAPS}/orphan`)
  assert.equal(textAt(json, 'metadata', 'name'), 'orphan')
  assert.deepEqual(valueAt(json, 'metadata', 'ownerReferences') ?? [], [])
})

test('a namespace goes when all in it has gone, and takes nothing new meanwhile', async () => {
  const path = '/api/v1/namespaces/closing'
  await api.admin.create('/api/v1/namespaces', { metadata: { name: 'closing' } })
  await api.admin.create(`${path}/configmaps`, configMap('last', {}, { finalizers: ['a.example/x'] }))
  await api.admin.delete(path)
  assert.equal(textAt((await api.admin.get(path)).json, 'status', 'phase'), 'Terminating')
  assert.match(
    refusalOf(await api.admin.create(`${path}/configmaps`, configMap('late'))),
    /^403 Forbidden: .*because it is being terminated$/,
  )
  await eventually(
    async () => textAt((await api.admin.get(`${path}/configmaps/last`)).json, 'metadata', 'deletionTimestamp') !== '',
  )
  await api.admin.patch(`${path}/configmaps/last`, { metadata: { finalizers: null } })
  await eventually(() => gone(path))
})

test('a pod that has a node is given its time, and goes when its kubelet says so', async () => {
  const pods = '/api/v1/namespaces/default/pods'
  await api.admin.create(pods, { metadata: { name: 'placed' }, spec: { nodeName: 'n1', containers: [] } })
  await api.admin.create(pods, { metadata: { name: 'unplaced' }, spec: { containers: [] } })
  await api.admin.delete(`${pods}/placed`)
  await api.admin.delete(`${pods}/unplaced`)
  assert.equal(await gone(`${pods}/unplaced`), true)
  assert.equal(valueAt((await api.admin.get(`${pods}/placed`)).json, 'metadata', 'deletionGracePeriodSeconds'), 30)
  await api.admin.delete(`${pods}/placed`, { gracePeriodSeconds: 0 })
  assert.equal(await gone(`${pods}/placed`), true)
})

test('a collection is deleted as far as it is selected', async () => {
  for (const [name, set] of [
    ['c1', 'x'],
    ['c2', 'x'],
    ['c3', 'y'],
  ])
    await api.admin.create(MAPS, configMap(name ?? '', {}, { labels: { set } }))
  await api.admin.delete(`${MAPS}?labelSelector=set%3Dx`)
  assert.deepEqual(namesIn(await api.admin.get(`${MAPS}?labelSelector=set`)), ['c3'])
})

test('a grace that is no number is refused', async () => {
  const pods = '/api/v1/namespaces/default/pods'
  await api.admin.create(pods, { metadata: { name: 'graced' }, spec: { nodeName: 'n1', containers: [] } })
  for (const answer of [
    await api.admin.delete(`${pods}/graced?gracePeriodSeconds=soon`),
    await api.admin.delete(`${pods}/graced`, { gracePeriodSeconds: 'soon' }),
  ])
    assert.match(refusalOf(answer), /^400 BadRequest: gracePeriodSeconds: .*"soon"/)
  assert.equal((await api.admin.delete(`${pods}/graced?gracePeriodSeconds=0`)).status, 200)
  assert.equal(await gone(`${pods}/graced`), true)
})

test('a server that starts again goes on with a deletion that waits for what is owned', async () => {
  const finalizers = ['a.example/x']
  let saved = ''
  {
    await using first = await startTestApi()
    const { json } = await first.admin.create(MAPS, configMap('owner'))
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: textAt(json, 'metadata', 'uid') }
    await first.admin.create(MAPS, configMap('owned', {}, { finalizers, ownerReferences: [reference] }))
    await first.admin.delete(`${MAPS}/owner`, { propagationPolicy: 'Foreground' })
    await eventually(async () => (await first.admin.get(`${MAPS}/owned`)).text.includes('deletionTimestamp'))
    saved = first.server.save()
  }
  await using second = await startTestApi({ saved })
  await second.admin.patch(`${MAPS}/owned`, { metadata: { finalizers: null } })
  await eventually(async () => namesIn(await second.admin.get(MAPS)).length === 0)
})
