import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { configMap, refusalOf, startTestApi, type TestApi, versionOf } from '../../../../test/support/api-server.ts'
import type { Response } from '../client.ts'
import { listAt, textAt, valueAt } from '../objects/json.ts'

let api: TestApi
let time = Date.parse('2026-01-02T03:04:05Z')
before(async () => {
  api = await startTestApi({ now: () => new Date(time) })
})
after(() => api[Symbol.asyncDispose]())

const MAPS = '/api/v1/namespaces/default/configmaps'
const SERVICES = '/api/v1/namespaces/default/services'
const APPLY = 'application/apply-patch+yaml'

function apply(manager: string, data: Record<string, string>, name: string, force = false): Promise<Response> {
  const query = `fieldManager=${manager}${force ? '&force=true' : ''}`
  const body = { apiVersion: 'v1', kind: 'ConfigMap', ...configMap(name, data) }
  return api.admin.patch(`${MAPS}/${name}?${query}`, body, APPLY)
}

const data = async (name: string) => valueAt((await api.admin.get(`${MAPS}/${name}`)).json, 'data')

test('what is not there is made, with who manages it', async () => {
  const { status, json } = await apply('a', { x: '1' }, 'made')
  assert.equal(status, 201)
  const [entry] = listAt(json, 'metadata', 'managedFields')
  assert.deepEqual([textAt(entry, 'manager'), textAt(entry, 'operation')], ['a', 'Apply'])
  assert.deepEqual(valueAt(entry, 'fieldsV1'), { 'f:data': { 'f:x': {} } })
})

test('what one no longer applies goes, what another applies stays', async () => {
  await apply('a', { one: '1', both: '2' }, 'shared')
  await apply('b', { both: '2', two: '3' }, 'shared')
  assert.deepEqual(await data('shared'), { one: '1', both: '2', two: '3' })
  await apply('a', {}, 'shared')
  assert.deepEqual(await data('shared'), { both: '2', two: '3' })
})

test('another value for what somebody else manages is a conflict, unless it is forced', async () => {
  await apply('a', { x: '1' }, 'fought')
  const refused = await apply('b', { x: '2' }, 'fought')
  assert.equal(refusalOf(refused), '409 Conflict: Apply failed with 1 conflict: conflict with "a" using v1: .data.x')
  assert.equal(textAt(listAt(refused.json, 'details', 'causes')[0], 'field'), '.data.x')
  const { json } = await apply('b', { x: '2' }, 'fought', true)
  assert.deepEqual(
    listAt(json, 'metadata', 'managedFields').map(m => textAt(m, 'manager')),
    ['b'],
  )
})

test('a patch takes over what it changes', async () => {
  await apply('a', { x: '1' }, 'patched')
  await api.admin.patch(`${MAPS}/patched?fieldManager=hand`, { data: { x: '2' } })
  assert.match(refusalOf(await apply('a', { x: '1' }, 'patched')), /conflict with "hand" using v1: .data.x$/)
})

test('the same applied again makes no new version', async () => {
  const first = await apply('a', { x: '1' }, 'again')
  time += 60_000
  assert.equal(versionOf((await apply('a', { x: '1' }, 'again')).json), versionOf(first.json))
})

test('entries of a list are merged by their keys', async () => {
  const ports = (...list: object[]) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { ports: list },
  })
  await api.admin.patch(
    `${SERVICES}/s?fieldManager=a`,
    ports({ name: 'web', port: 80 }, { name: 'dns', port: 53, protocol: 'UDP' }),
    APPLY,
  )
  await api.admin.patch(`${SERVICES}/s?fieldManager=b`, ports({ name: 'extra', port: 99 }), APPLY)
  await api.admin.patch(`${SERVICES}/s?fieldManager=a`, ports({ name: 'web', port: 80, targetPort: 8080 }), APPLY)
  const { json } = await api.admin.get(`${SERVICES}/s`)
  assert.deepEqual(
    listAt(json, 'spec', 'ports').map(p => `${textAt(p, 'name')}:${JSON.stringify(valueAt(p, 'targetPort'))}`),
    ['web:8080', 'extra:99'],
  )
})

test('who applies says who they are', async () => {
  assert.match(
    refusalOf(await apply('', {}, 'nobody')),
    /^422 Invalid: .*fieldManager: Required value: is required for apply patch$/,
  )
})

test('a set of which nothing is applied any more is there, and empty', async () => {
  const path = '/api/v1/nodes/emptied?fieldManager=a'
  const body = (finalizers: readonly string[]): object => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'emptied', finalizers },
  })
  await api.admin.patch(path, body(['a.example/one']), APPLY)
  const { json } = await api.admin.patch(path, body([]), APPLY)
  assert.deepEqual(valueAt(json, 'metadata', 'finalizers'), [])
})
