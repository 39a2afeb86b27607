/** Objects whose judgement stays the same, while the API server forgets Events and others write to statuses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import { EventRecorder } from '../cluster/kubernetes/events.ts'
import { Nudge } from '../state/nudge.ts'
import { OwnStatus } from './own-status.ts'
import { createOperatorTables } from './rows.ts'
import { poolRow } from './testdata.ts'

test('a warning is said again, and a status that somebody else wrote is put right, while nothing changes', async () => {
  const [clock, tables] = [new FakeClock(), createOperatorTables()]
  const pool = poolRow('p', [['10.0.0.0/16', 24]])
  const reasons: unknown[] = []
  let status: object = {}
  let writes = 0
  const client = {
    get: () => Promise.resolve({ metadata: { uid: pool.uid, resourceVersion: '1', generation: 1 }, status }),
    create: async (_r: unknown, _p: unknown, event: object) => void reasons.push((event as { reason: string }).reason),
    patch: async (_r: unknown, { patch }: { patch: unknown }) => {
      writes++
      status = { ...status, ...(patch as { status: object }).status }
    },
    list: () => (async function* () {})(),
  }
  const conflict = '10.0.0.0/16 overlaps 10.0.0.0/8 of pool q'
  const ranges = { uses: [{ pool, nodes: 0, free: 256, conflict }], foreign: new Map(), changed: new Nudge() }
  const log = new FakeLog()
  const events = new EventRecorder({ client, component: 'o', instance: 'o', log, clock })
  const refusal = () => Promise.resolve(undefined)
  const own = new OwnStatus({ client, tables, events, log, clock, ranges, refusal })
  const stop = new AbortController()
  const running = own.run(stop.signal)
  await clock.advance(1000)
  assert.deepEqual([reasons, writes], [['RangesOverlap'], 1])
  const told = status
  status = {}
  await clock.advance(11 * 60_000)
  assert.deepEqual([(status as { free?: number }).free, writes], [256, 2])
  assert.deepEqual(Object.keys(status), Object.keys(told))
  await clock.advance(60 * 60_000)
  assert.deepEqual(reasons, ['RangesOverlap', 'RangesOverlap', 'RangesOverlap'])
  stop.abort()
  await running
})
