/** One connection to an API server: what is asked over it, and when it is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TestApi } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { startOwnApi } from '../../../test/support/kubernetes-source.ts'
import { ApiError, ApiUnreachable } from './api-error.ts'
import { ApiClient } from './client.ts'
import { ApiConnection } from './connection.ts'
import { RESOURCES } from './resources.ts'

const signal = AbortSignal.timeout(20_000)

/** A connection of the administrator's; `before` runs when a request has found its connection and is not sent yet. */
function connectionTo(api: TestApi, path = '', before: () => Promise<void> | void = () => undefined): ApiConnection {
  return new ApiConnection({
    credentials: {
      servers: [new URL(`${api.server.url}${path}`)],
      tls: () => Promise.resolve({ ca: api.server.ca }),
      headers: async () => {
        await before()
        return { authorization: `Bearer ${api.server.adminToken}` }
      },
    },
    log: new FakeLog(),
    userAgent: 'test',
  })
}

test('a request whose signal aborts before it is sent is not sent', async () => {
  await using api = await startOwnApi()
  const stop = new AbortController()
  using connection = connectionTo(api, '', () => stop.abort())
  const asked = connection.ask({ method: 'GET', path: '/api/v1/nodes?watch=true' }, stop.signal)
  await assert.rejects(asked, (error: unknown) => error === stop.signal.reason)
})

test('a connection that is lost before a request is sent is told as such', async () => {
  await using api = await startOwnApi()
  using connection = connectionTo(api, '', () => api.server.down())
  await assert.rejects(connection.ask({ method: 'GET', path: '/api/v1/nodes' }, signal), ApiUnreachable)
})

test('the path of a server comes before all others', async () => {
  await using api = await startOwnApi()
  using connection = connectionTo(api, '/k8s/clusters/one/')
  const client = new ApiClient(connection)
  const asked = client.get(RESOURCES.namespaces, { name: 'kube-system' }, signal)
  // The server of the test serves at the root only.
  await assert.rejects(asked, (error: unknown) => error instanceof ApiError && error.missing)
  using atRoot = connectionTo(api, '/')
  await new ApiClient(atRoot).get(RESOURCES.namespaces, { name: 'kube-system' }, signal)
})

test('a connection that is closed before it is one does not wait for its server', async () => {
  await using api = await startOwnApi()
  api.server.halfOpen(true)
  const connection = connectionTo(api)
  const asked = connection.ask({ method: 'GET', path: '/api/v1/nodes' }, signal)
  const refused = assert.rejects(asked, /was closed/)
  // The handshake has begun by then, and would be given 5 s.
  await eventually(() => api.server.counters().connections === 1)
  const began = performance.now()
  connection[Symbol.dispose]()
  await refused
  assert.ok(performance.now() - began < 2000)
})
