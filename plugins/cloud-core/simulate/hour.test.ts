import assert from 'node:assert/strict'
import { test } from 'node:test'
import { POLICY } from '../testdata.ts'
import { runHour } from './hour.ts'

const LIMITS = { nics: 8, slots: 29, lengths: { 4: [28, 32], 6: [] }, wholeWrites: false }
const CLUSTER = { seed: 1, nodes: 100, pods: 20, limits: LIMITS, policy: POLICY, cooldownMs: 30_000 }

test('an hour is the same every time, every pod has an address and no call is throttled', () => {
  const hour = runHour(CLUSTER)
  assert.deepEqual([hour.served, hour.came, hour.throttled], [2000, 2000, 0])
  // One call brings 16 addresses, and each node is looked at only together with all.
  assert.ok(hour.calls < 500, `${hour.calls} calls`)
  assert.deepEqual(runHour(CLUSTER), hour)
})
