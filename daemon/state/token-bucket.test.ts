import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { TokenBucket } from './token-bucket.ts'

test('a bucket gives its burst at once, then one after another', async () => {
  const clock = new FakeClock()
  const bucket = new TokenBucket(clock, { burst: 3, everyMs: 1000 })
  const taken = (): boolean[] => Array.from({ length: 4 }, () => bucket.take())
  assert.deepEqual(taken(), [true, true, true, false])
  assert.equal(bucket.waitMs, 1000)
  await clock.advance(999)
  assert.deepEqual([bucket.take(), Math.round(bucket.waitMs)], [false, 1])
  await clock.advance(1)
  assert.deepEqual([bucket.take(), bucket.take()], [true, false])
  await clock.advance(60_000)
  assert.deepEqual(taken(), [true, true, true, false])
})
