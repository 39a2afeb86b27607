import assert from 'node:assert/strict'
import { test } from 'node:test'
import { node } from '../../../test/support/api-server.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock, settle } from '../../../test/support/fake-clock.ts'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { startSource } from '../../../test/support/kubernetes-source.ts'
import { valueAt } from '../../../deploy/lab/api-server/objects/json.ts'
import { systemClock } from '../../state/clock.ts'
import type { CloudReportRow } from '../../state/cloud-rows.ts'
import { createTables } from '../../state/tables.ts'
import { ApiError, ApiUnreachable } from './api-error.ts'
import { CloudReport } from './cloud-report.ts'

const row = (waiting: number, more: Partial<CloudReportRow> = {}): CloudReportRow => ({
  network: 'u1',
  demand: [{ family: 4, assigned: 1, waiting, cooling: 0 }],
  idle: [],
  drained: [],
  ...more,
})

/** An API server that notes what it is told, and when. */
function reporting() {
  const tables = createTables()
  const clock = new FakeClock()
  const log = new FakeLog()
  const state = { failure: undefined as Error | undefined, uid: 'u1' }
  const told: string[] = []
  const client = {
    get: () => Promise.reject(new Error('not asked')),
    patch: async (_: unknown, options: { readonly patch: unknown }) => {
      if (state.failure) throw state.failure
      const [isMeant, say] = options.patch as readonly { readonly value: unknown }[]
      const { demand } = Object(say?.value) as { readonly demand?: readonly { readonly waiting: number }[] }
      told.push(`${clock.now()} ${String(isMeant?.value)} ${demand?.[0]?.waiting}`)
      return {}
    },
  }
  const ownUids = () => ({ node: 'n', network: state.uid })
  const report = new CloudReport({ client, nodeName: 'n1', ownUids, tables, log, clock }, () => 1)
  const stop = new AbortController()
  const running = report.run(stop.signal)
  return {
    tables,
    clock,
    log,
    state,
    told,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

test('a first change is told after 20 ms with what came meanwhile, later ones every 250 ms at most', async () => {
  await using at = reporting()
  await settle()
  at.tables.cloudReports.put(row(1))
  await at.clock.advance(10)
  at.tables.cloudReports.put(row(2))
  await at.clock.advance(10)
  assert.deepEqual(at.told, ['20 u1 2'])
  for (let waiting = 3; waiting < 60; waiting++) {
    at.tables.cloudReports.put(row(waiting))
    await at.clock.advance(10)
  }
  assert.deepEqual(at.told, ['20 u1 2', '270 u1 27', '520 u1 52'])
  await at.clock.advance(1000)
  assert.deepEqual(at.told.slice(3), ['770 u1 59'])
  at.tables.cloudReports.put(row(0))
  await at.clock.advance(20)
  assert.equal(at.told.at(-1), '1610 u1 0')
})

test('what has not changed is told again after five minutes, and not before', async () => {
  await using at = reporting()
  at.tables.cloudReports.put(row(1))
  await at.clock.advance(299_000)
  at.tables.cloudReports.put(row(1))
  assert.equal(at.told.length, 1)
  await at.clock.advance(2000)
  assert.deepEqual(at.told, ['20 u1 1', '300020 u1 1'])
})

test('an answer to the spec of an object that is gone is not told of the one in its place', async () => {
  await using at = reporting()
  at.tables.cloudReports.put(row(1))
  await at.clock.advance(100)
  at.state.uid = 'u2'
  at.tables.cloudReports.put(row(2))
  await at.clock.advance(1000)
  assert.equal(at.told.length, 1)
  at.tables.cloudReports.put(row(2, { network: 'u2' }))
  await at.clock.advance(20)
  assert.deepEqual(at.told, ['20 u1 1', '1120 u2 2'])
})

test('while the API server is away it is asked ever more seldom, and told the last state then', async () => {
  await using at = reporting()
  at.state.failure = new ApiUnreachable('https://192.0.2.1')
  at.tables.cloudReports.put(row(1))
  await at.clock.advance(60_000)
  assert.equal(at.log.lines.length, 1, 'the same reason is logged once')
  at.tables.cloudReports.put(row(2))
  at.state.failure = undefined
  await at.clock.advance(30_000)
  assert.equal(at.told.length, 1)
  assert.match(at.told[0] ?? '', / u1 2$/)
})

test('a refusal that has nothing to do with a missing status is a failure like others', async () => {
  await using at = reporting()
  at.state.failure = new ApiError('PATCH', 403, '')
  at.tables.cloudReports.put(row(1))
  await at.clock.advance(100)
  assert.match(at.log.lines.join(), /could not be told to the operator.*403/)
})

const NETWORKS = '/apis/causeway.dev/v1alpha1/nodenetworks'

test('a real API server takes it, with and without a status there, and holds it to the definition', async () => {
  await using world = await startSource({ nodeName: 'n1' })
  const { api, client, source, tables } = world
  await api.admin.create('/api/v1/nodes', node('n1'))
  const kind = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'n1' } }
  const block = { block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 3 }
  const nic = { id: 'eni-1', mac: '02:00:00:00:00:01', index: 0, phase: 'ready' }
  await api.admin.create(NETWORKS, { ...kind, spec: { cloud: { provider: 'aws', nics: [nic], blocks: [block] } } })
  await eventually(() => tables.cloudBlocks.size === 1 && tables.cloudNics.size === 1)
  const uid = source.ownUids()?.network ?? ''
  assert.equal(tables.cloudMachines.get('aws')?.network, uid)
  const log = new FakeLog()
  const ownUids = () => source.ownUids()
  const report = new CloudReport({ client, nodeName: 'n1', ownUids, tables, log, clock: systemClock })
  const stop = new AbortController()
  const running = report.run(stop.signal)
  const said = async () => valueAt((await api.admin.get(`${NETWORKS}/n1`)).json, 'status', 'cloudAddresses')
  try {
    for (const waiting of [1, 2]) {
      tables.cloudReports.put(
        row(waiting, { network: uid, idle: ['10.0.0.16/28'], drained: [{ block: '10.0.0.32/28', born: 1 }] }),
      )
      const want = {
        demand: [{ assigned: 1, cooling: 0, family: 'IPv4', waiting }],
        drained: [{ block: '10.0.0.32/28', born: 1 }],
        idle: ['10.0.0.16/28'],
      }
      await eventually(async () => JSON.stringify(await said()) === JSON.stringify(want))
    }
    assert.deepEqual(log.lines, [])
  } finally {
    stop.abort()
    await running
  }
})

test('garbage in the own NodeNetwork is a problem, and what was said before stays', async () => {
  await using world = await startSource({ nodeName: 'n1' })
  const { api, source, tables } = world
  await api.admin.create('/api/v1/nodes', node('n1'))
  const kind = { apiVersion: 'causeway.dev/v1alpha1', kind: 'NodeNetwork', metadata: { name: 'n1' } }
  const block = { block: '10.0.0.16/28', nic: 'eni-1', phase: 'allocatable', born: 3 }
  await api.admin.create(NETWORKS, { ...kind, spec: { cloud: { provider: 'aws', blocks: [block] } } })
  await eventually(() => tables.cloudBlocks.size === 1)
  const garbage = { provider: 'aws', blocks: [block, { ...block, block: '999.0.0.16/28' }] }
  await api.admin.patch(`${NETWORKS}/n1`, { spec: { cloud: garbage } })
  const problems = () => source.problems().map(({ place, message }) => `${place}: ${message}`)
  await eventually(() => problems().some(text => text.startsWith('NodeNetwork n1: spec.cloud.blocks[1].block')))
  assert.equal(tables.cloudBlocks.size, 1)
})
