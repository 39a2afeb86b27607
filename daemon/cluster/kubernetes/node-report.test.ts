import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointRow } from '../../../test/support/endpoint-row.ts'
import { FakeClock, settle } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import type { Status } from '../../api/status.ts'
import { createTables } from '../../state/tables.ts'
import { type NodeFacts, nodeFacts } from '../node-facts.ts'
import { ApiUnreachable } from './api-error.ts'
import { NodeReport } from './node-report.ts'

/** The status of a NodeNetwork on an API server that can be taken away. */
class OneObject {
  status: Record<string, unknown> = {}
  writes = 0
  away = false

  async get(): Promise<unknown> {
    if (this.away) throw new ApiUnreachable('https://192.0.2.1')
    return { metadata: { resourceVersion: `${this.writes}` }, status: this.status }
  }
  async patch(_: unknown, { patch }: { readonly patch: unknown }): Promise<unknown> {
    this.writes++
    const { status } = patch as { readonly status: Record<string, unknown> }
    this.status = { ...this.status, ...status }
    return {}
  }
}

function reporting() {
  const tables = createTables()
  tables.nodes.put({ name: 'n1', addresses: [], podCidrs: ['10.1.0.0/24'], labels: {} })
  const server = new OneObject()
  const clock = new FakeClock()
  const state: Pick<Status, 'ready' | 'waiting' | 'pools' | 'problems'> & { ready: boolean } = {
    ready: true,
    waiting: [],
    pools: [],
    problems: [],
  }
  const settings = {
    nodeName: 'n1',
    routing: { nativeNetwork: 'x' },
  } as const
  const uids = { node: 'node', network: 'network' }
  const facts = (): NodeFacts => nodeFacts(settings, tables, 'aws')
  const report = new NodeReport(
    {
      client: server,
      nodeName: 'n1',
      ownUids: () => uids,
      bootId: 'b',
      version: '1',
      status: () => state,
      facts,
      tables,
      log: new FakeLog(),
      clock,
    },
    () => 0.5,
  )
  const stop = new AbortController()
  const running = report.run(stop.signal)
  return {
    tables,
    server,
    clock,
    state,
    uids,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

test('what other nodes need to know is told at once, without time passing, and only when it changes', async () => {
  await using at = reporting()
  await settle()
  const { cloud, nativeNetwork, podAddresses = null } = at.server.status
  assert.deepEqual([cloud, nativeNetwork, podAddresses, at.server.writes], ['aws', 'x', null, 1])
  at.tables.endpoints.put(endpointRow('inside', ['10.1.0.7']))
  await settle()
  assert.equal(at.server.writes, 1)
  at.tables.endpoints.put(endpointRow('outside', ['10.9.0.7']))
  await settle()
  assert.deepEqual([at.server.status.podAddresses, at.server.writes], [['10.9.0.7'], 2])
  at.tables.endpoints.delete('causeway/outside/eth0')
  await settle()
  assert.deepEqual([at.server.status.podAddresses, at.server.writes, at.clock.now()], [null, 3, 0])
})

test('a NodeNetwork that was made anew is told everything at once', async () => {
  await using at = reporting()
  await settle()
  at.server.status = {}
  at.uids.network = 'another'
  at.tables.nodes.put({ name: 'n1', addresses: [], podCidrs: ['10.1.0.0/24', '10.2.0.0/24'], labels: {} })
  await settle()
  const { cloud, conditions } = at.server.status
  assert.deepEqual([cloud, (conditions as readonly object[]).length, at.clock.now()], ['aws', 2, 0])
})

test('readiness is told within a second, figures within a minute', async () => {
  await using at = reporting()
  await settle()
  at.state.ready = false
  await at.clock.advance(1000)
  assert.equal(at.server.writes, 2)
  Object.assign(at.state, { pools: [{ pool: 'p', family: 4, total: 9, used: 1 }] })
  await at.clock.advance(30_000)
  assert.equal(at.server.writes, 2)
  await at.clock.advance(30_000)
  assert.deepEqual(
    [at.server.writes, at.server.status.addresses],
    [3, [{ pool: 'p', family: 'IPv4', total: 9, used: 1 }]],
  )
})

test('while the API server is away changes wait for the next attempt, which tells the last state', async () => {
  await using at = reporting()
  await settle()
  at.server.away = true
  at.tables.endpoints.put(endpointRow('a', ['10.9.0.1']))
  await settle()
  at.server.away = false
  at.tables.endpoints.put(endpointRow('b', ['10.9.0.2']))
  await settle()
  assert.equal(at.server.writes, 1)
  await at.clock.advance(60_000)
  assert.deepEqual(at.server.status.podAddresses, ['10.9.0.1', '10.9.0.2'])
})
