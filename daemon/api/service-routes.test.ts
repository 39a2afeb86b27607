import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PLAIN_BALANCING, PLAIN_SERVICE } from '../../test/support/service-row.ts'
import { frontendsOf } from '../service/frontends.ts'
import type { EndpointSliceRow } from '../state/service-rows.ts'
import { createTables } from '../state/tables.ts'
import { Router } from './router.ts'
import { addServiceRoutes, type ServedFrontend } from './service-routes.ts'

const tables = createTables()
const router = addServiceRoutes(new Router(), {
  tables,
  nodeName: 'n1',
  seed: '',
  affinity: () => undefined,
  datapath: () => ({
    hits: () => new Map([...tables.frontends.values()].slice(0, 1).map(row => [row, 3])),
    failures: () => new Map([['TCP 10.96.0.2:80 inside', 'it is full']]),
  }),
})

async function get(path: string, query = ''): Promise<unknown> {
  const { handler, params } = router.match('GET', path)
  const { signal } = new AbortController()
  return await handler({ method: 'GET', path, params, query: new URLSearchParams(query), body: undefined, signal })
}
const ask = (query: string): Promise<unknown> => get('/v1/explain/service', query)

test('frontends are told with their flows, and with what keeps them from being served', async () => {
  const slices: readonly EndpointSliceRow[] = []
  const node = { name: 'n1', zone: '', addresses: [] }
  const ports = [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }] as const
  for (const clusterIP of ['10.96.0.1', '10.96.0.2']) {
    const service = { ...PLAIN_SERVICE, clusterIPs: [clusterIP], ports }
    for (const row of frontendsOf(service, slices, node, PLAIN_BALANCING)) tables.frontends.put(row)
  }
  const { json } = (await get('/v1/services')) as { readonly json: readonly ServedFrontend[] }
  assert.deepEqual(
    json.map(({ address, hits, failure }) => [address, hits, failure]),
    [
      ['10.96.0.1', 3, undefined],
      ['10.96.0.2', 0, 'it is full'],
    ],
  )
  for (const row of json) tables.frontends.delete(row.key)
})

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
