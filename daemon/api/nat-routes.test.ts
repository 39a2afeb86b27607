import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../test/support/endpoint-row.ts'
import type { NatQuery, NatReport } from '../nat/report.ts'
import { addressOf } from '../nat/way.ts'
import { createTables } from '../state/tables.ts'
import { addNatRoutes } from './nat-routes.ts'
import { type ApiAnswer, Router } from './router.ts'

const tables = createTables()
for (const [id, namespace, name, ...addresses] of [
  [1, 'default', 'web', '10.1.0.2', 'fd00:71::2'],
  [2, 'other', 'web', '10.1.0.3'],
  [3, 'default', 'database', '10.1.0.4'],
] as const)
  tables.endpoints.put(endpointRow(name, addresses, { key: `causeway/${id}/eth0`, pod: { namespace, name, uid: '' } }))
const REPORT: NatReport = {
  masquerade: true,
  addresses: [],
  destinations: { total: 0, list: [] },
  pods: { total: 0, list: [] },
  mappings: { total: 0, list: [] },
}

async function ask(query: string, up = true): Promise<{ readonly answer: ApiAnswer; readonly asked: string }> {
  let asked = ''
  const report = ({ top, mappings, pods }: NatQuery): Promise<NatReport> => {
    asked = [`top ${top}, mappings ${mappings}`, ...[...(pods ?? [])].map(addressOf)].join(' ')
    return Promise.resolve(REPORT)
  }
  const router = addNatRoutes(new Router(), { tables, nat: () => (up ? { report } : undefined) })
  const { handler } = router.match('GET', '/v1/nat')
  const { signal } = new AbortController()
  const request = { method: 'GET', path: '/v1/nat', params: {}, body: undefined, signal }
  return { answer: await handler({ ...request, query: new URLSearchParams(query) }), asked }
}

for (const [query, asked] of [
  ['', 'top 10, mappings 0'],
  ['top=3&mappings=10000', 'top 3, mappings 10000'],
  ['pod=default/web', 'top 10, mappings 0 10.1.0.2 fd00:71::2'],
  ['pod=web', 'top 10, mappings 0 10.1.0.2 fd00:71::2 10.1.0.3'],
  ['pod=10.1.0.77', 'top 10, mappings 0 10.1.0.77'],
  ['pod=FD00:71:0::2', 'top 10, mappings 0 fd00:71::2'],
] as const)
  test(`GET /v1/nat?${query} asks for ${asked}`, async () => {
    const found = await ask(query)
    assert.equal(found.asked, asked)
    assert.deepEqual(found.answer, { json: REPORT })
  })

for (const [query, code, message] of [
  ['top=many', 'BAD_QUERY', 'top=many is not allowed; allowed: a whole number from 0 to 10000'],
  ['top=-1', 'BAD_QUERY', 'top=-1 is not allowed; allowed: a whole number from 0 to 10000'],
  ['mappings=10001', 'BAD_QUERY', 'mappings=10001 is not allowed; allowed: a whole number from 0 to 10000'],
  ['pod=databse', 'NO_POD', 'there is no pod databse on this node; did you mean database?'],
  ['pod=default/databse', 'NO_POD', 'there is no pod default/databse on this node; did you mean default/database?'],
  [
    'pod=somewhere/else',
    'NO_POD',
    'there is no pod somewhere/else on this node; `causeway endpoints` lists those that are',
  ],
] as const)
  test(`GET /v1/nat?${query} is refused with ${code}`, async () => {
    await assert.rejects(ask(query), { code, message })
  })

test('before the datapath is up there is nothing to tell', async () => {
  await assert.rejects(ask('', false), { code: 'NOT_READY', status: 503 })
})
