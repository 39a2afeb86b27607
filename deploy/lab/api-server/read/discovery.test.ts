import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestApi, type TestApi } from '../../../../test/support/api-server.ts'
import { listAt, textAt, texts, valueAt } from '../objects/json.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
})
after(() => api[Symbol.asyncDispose]())

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'

test('the groups are those of the resources there are', async () => {
  const { json } = await api.admin.get('/apis')
  const names = listAt(json, 'groups').map(group => textAt(group, 'name'))
  assert.deepEqual(
    names.filter(name => name === 'apps' || name === 'discovery.k8s.io'),
    ['apps', 'discovery.k8s.io'],
  )
  assert.equal(names.includes(''), false)
})

test('both forms of discovery say the same', async () => {
  for (const [path, plain] of [
    ['/api', '/api/v1'],
    ['/apis', '/apis/apps/v1'],
  ] as const) {
    const all = await api.admin.request('GET', path, { accept: AGGREGATED })
    assert.match(String(all.headers['content-type']), /as=APIGroupDiscoveryList/)
    const group = listAt(all.json, 'items').find(
      item => textAt(item, 'metadata', 'name') === (plain.split('/')[2] === 'v1' ? '' : 'apps'),
    )
    const resources = listAt(listAt(group, 'versions')[0], 'resources')
    const aggregated = resources.flatMap(r => [
      textAt(r, 'resource'),
      ...listAt(r, 'subresources').map(sub => `${textAt(r, 'resource')}/${textAt(sub, 'subresource')}`),
    ])
    const listed = listAt((await api.admin.get(plain)).json, 'resources').map(r => textAt(r, 'name'))
    assert.deepEqual(aggregated, listed)
    assert.ok(listed.length > 3)
  }
})

test('a resource says its names, scope and verbs', async () => {
  const { json } = await api.admin.get('/api/v1')
  const services = listAt(json, 'resources').find(r => textAt(r, 'name') === 'services')
  assert.deepEqual(
    [valueAt(services, 'namespaced'), textAt(services, 'singularName'), texts(listAt(services, 'shortNames'))],
    [true, 'service', ['svc']],
  )
  assert.ok(texts(listAt(services, 'verbs')).includes('watch'))
})

test('schemas are there for every group, and say that fields are checked by the server', async () => {
  const { json } = await api.admin.get('/openapi/v3')
  const link = textAt(json, 'paths', 'apis/apps/v1', 'serverRelativeURL')
  const document = (await api.admin.get(link)).json
  const patch = valueAt(document, 'paths', '/apis/apps/v1/namespaces/{namespace}/deployments/{name}', 'patch')
  assert.ok(listAt(patch, 'parameters').some(p => textAt(p, 'name') === 'fieldValidation'))
  assert.deepEqual(valueAt(patch, 'x-kubernetes-group-version-kind'), {
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
  })
})
