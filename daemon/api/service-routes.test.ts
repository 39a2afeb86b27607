import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTables } from '../state/tables.ts'
import { Router } from './router.ts'
import { addServiceRoutes } from './service-routes.ts'

const router = addServiceRoutes(new Router(), {
  tables: createTables(),
  nodeName: 'n1',
  seed: '',
  affinity: () => undefined,
})

async function ask(query: string): Promise<unknown> {
  const { handler, params } = router.match('GET', '/v1/explain/service')
  const { signal } = new AbortController()
  const url = new URLSearchParams(query)
  return await handler({ method: 'GET', path: '/v1/explain/service', params, query: url, body: undefined, signal })
}

test('a question is answered, of TCP unless it says otherwise', async () => {
  assert.deepEqual(await ask('client=10.0.0.1&address=10.96.0.1&port=80'), {
    json: {
      from: 'outside',
      outcome: 'no-service',
      why: 'no service is at 10.96.0.1 for such a client',
      endpoints: [],
    },
  })
})

for (const [query, message] of [
  ['address=10.96.0.1&port=80', 'client= is not allowed; allowed: a value is needed'],
  ['client=x&address=10.96.0.1&port=80', "'x' is no IPv4 or IPv6 address"],
  ['client=10.0.0.1&address=10.96.0.1&port=0', 'port=0 is not allowed; allowed: a port from 1 to 65535'],
  [
    'client=10.0.0.1&client-port=a&address=10.96.0.1&port=1',
    'client-port=a is not allowed; allowed: a port from 1 to 65535',
  ],
  ['client=10.0.0.1&address=10.96.0.1&port=1&protocol=icmp', 'protocol=ICMP is not allowed; allowed: TCP, UDP, SCTP'],
] as const)
  test(`${query} is refused`, async () => {
    await assert.rejects(ask(query), { code: 'BAD_QUERY', status: 400, message })
  })
