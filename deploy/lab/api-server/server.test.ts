import assert from 'node:assert/strict'
import { request } from 'node:https'
import { connect } from 'node:http2'
import { after, before, test } from 'node:test'
import { refusalOf, startTestApi, type TestApi } from '../../../test/support/api-server.ts'
import { textAt } from './objects/json.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
})
after(() => api[Symbol.asyncDispose]())

/** A request by HTTP/1.1. */
async function overHttp1(
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: string; version: string }> {
  return await new Promise((resolve, reject) => {
    const asked = request(`${api.server.url}${path}`, { ca: api.server.ca, headers }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, version: response.httpVersion }))
    })
    asked.on('error', reject).end()
  })
}

test('one port speaks HTTP/2 and HTTP/1.1, both under TLS by its own authority', async () => {
  const second = await api.admin.get('/version')
  const first = await overHttp1('/version', { authorization: `Bearer ${api.server.adminToken}` })
  assert.equal(textAt(second.json, 'gitVersion'), 'v1.35.0')
  assert.equal(first.version, '1.1')
  assert.deepEqual(JSON.parse(first.body), second.json)
})

test('a client that does not know the authority is not served', async () => {
  const session = connect(api.server.url)
  const failure = await new Promise<Error>(resolve => session.once('error', resolve))
  assert.match(failure.message, /self-signed|unable to (get|verify)/)
})

test('a token that is not known is answered 401, no token is somebody anonymous', async () => {
  const stranger = await api.client('nobody').get('/api/v1/nodes')
  assert.equal(refusalOf(stranger), '401 Unauthorized: Unauthorized')
  const anonymous = await api.client('').get('/api/v1/nodes')
  assert.equal(
    refusalOf(anonymous),
    '403 Forbidden: nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope',
  )
  assert.equal((await api.client('').get('/readyz')).text, 'ok')
})

test('a token that is revoked is not known any more', async () => {
  const token = api.server.user('somebody')
  assert.equal((await api.client(token).get('/api')).status, 200)
  api.server.revoke(token)
  assert.equal((await api.client(token).get('/api')).status, 401)
})

test('a path that is none is told from an object that is not there', async () => {
  assert.equal(
    refusalOf(await api.admin.get('/apis/none.example/v1/things')),
    '404 NotFound: the server could not find the requested resource',
  )
  assert.equal(refusalOf(await api.admin.get('/api/v1/nodes/none')), '404 NotFound: nodes "none" not found')
})

test('tokens outlive a server that is given the same secret', async () => {
  await using first = await startTestApi({ secret: 'kept' })
  await using second = await startTestApi({ secret: 'kept' })
  assert.equal(first.server.serviceAccount('a', 'b'), second.server.serviceAccount('a', 'b'))
  assert.notEqual(first.server.serviceAccount('a', 'b'), first.server.serviceAccount('a', 'c'))
})

const DAY_MS = 86_400_000
for (const [what, from, until, want] of [
  ['is over', -2, -1, 'CERT_HAS_EXPIRED'],
  ['is still to come', 1, 2, 'CERT_NOT_YET_VALID'],
] as const)
  test(`a certificate whose time ${what} can be shown`, async () => {
    const at = (days: number): Date => new Date(Date.now() + days * DAY_MS)
    await using own = await startTestApi({ validity: { from: at(from), until: at(until) } })
    await assert.rejects(own.admin.get('/version'), ({ cause }: Error) => (cause as { code?: string }).code === want)
  })
