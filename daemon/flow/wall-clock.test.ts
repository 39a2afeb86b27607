import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wallClock } from './wall-clock.ts'

test('monotonic times become wall clock times, steady against jitter and following steps', () => {
  let clocks = { wallMs: 1_000_000, monotonicNs: 5_000_000_000n }
  const toUs = wallClock(() => clocks)
  assert.equal(toUs(5_000_001_000n), 1_000_000_001)
  clocks = { wallMs: 1_000_001, monotonicNs: 5_000_000_000n }
  assert.equal(toUs(5_000_001_000n), 1_000_000_001)
  clocks = { wallMs: 1_060_000, monotonicNs: 5_000_000_000n }
  assert.equal(toUs(5_000_001_000n), 1_060_000_001)
})
