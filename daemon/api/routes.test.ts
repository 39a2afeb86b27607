import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FlowQuery } from '../flow/flows.ts'
import { Health } from '../observe/health.ts'
import { createMetrics } from '../observe/metrics.ts'
import { createTables } from '../state/tables.ts'
import { type ApiParts, addMonitoringRoutes, addRoutes } from './routes.ts'
import { type ApiAnswer, Router } from './router.ts'
import type { Status } from './status.ts'

function parts(): ApiParts & { health: Health } {
  return {
    health: new Health(),
    metrics: createMetrics({ version: '1', node: '24' }),
    status: () => ({ node: 'a' }) as Status,
    tables: createTables(),
    flows: () => undefined,
  }
}

async function get(router: Router, target: string): Promise<ApiAnswer> {
  const url = new URL(target, 'http://api')
  const { handler, params } = router.match('GET', url.pathname)
  const signal = new AbortController().signal
  return await handler({ method: 'GET', path: url.pathname, params, query: url.searchParams, body: undefined, signal })
}

test('health is 503 with the reasons until the daemon is ready', async () => {
  const given = parts()
  const router = addRoutes(new Router(), given)
  const condition = given.health.condition('datapath')
  assert.deepEqual(await get(router, '/v1/health'), { status: 503, json: { ready: false, waiting: ['datapath'] } })
  condition.pass()
  assert.deepEqual(await get(router, '/v1/health'), { status: 200, json: { ready: true, waiting: [] } })
})

test('tables are listed with size and pending writers, and dumped in the order of their keys', async () => {
  const given = parts()
  const router = addRoutes(new Router(), given)
  given.tables.nodes.initializer('cluster/directory')
  given.tables.nodes.put({ name: 'b', addresses: [], podCidrs: [], labels: {} })
  given.tables.nodes.put({ name: 'a', addresses: [], podCidrs: [], labels: {} })
  const list = (await get(router, '/v1/tables')) as { json: object[] }
  assert.deepEqual(list.json[0], { name: 'nodes', rows: 2, revision: 2, pending: ['cluster/directory'] })
  const table = (await get(router, '/v1/tables/nodes')) as { text: string }
  assert.deepEqual(
    (JSON.parse(table.text) as { name: string }[]).map(row => row.name),
    ['a', 'b'],
  )
  await assert.rejects(get(router, '/v1/tables/constructor'), { code: 'NO_TABLE', status: 404 })
})

test('flows take last, follow and filters from the query', async () => {
  const queries: FlowQuery[] = []
  const read = (query: FlowQuery) => (queries.push(query), (async function* () {})())
  const router = addRoutes(new Router(), { ...parts(), flows: () => ({ read }) })
  for (const query of ['', '?last=5', '?follow=1', '?follow=1&last=2&verdict=dropped'])
    await get(router, `/v1/flows${query}`)
  assert.deepEqual(
    queries.map(({ last, follow }) => [last, follow]),
    [
      [100, false],
      [5, false],
      [0, true],
      [2, true],
    ],
  )
})

const refused: readonly (readonly [target: string, code: string])[] = [
  ['/v1/flows?last=-1', 'BAD_QUERY'],
  ['/v1/flows?last=many', 'BAD_QUERY'],
  ['/v1/flows?ip=x', 'BAD_FILTER'],
  ['/v1/flows', 'NOT_READY'],
]
for (const [target, code] of refused) {
  test(`GET ${target} is refused with ${code}`, () =>
    assert.rejects(get(addRoutes(new Router(), parts()), target), { code }))
}

test('the monitoring listener has metrics and health only, and says that it is alive also when it is not ready', async () => {
  const router = addMonitoringRoutes(new Router(), parts())
  assert.match(((await get(router, '/metrics')) as { text: string }).text, /causeway_build_info/)
  assert.deepEqual(await get(router, '/v1/alive'), { json: { alive: true } })
  await assert.rejects(get(router, '/v1/status'), { code: 'NOT_FOUND' })
})
