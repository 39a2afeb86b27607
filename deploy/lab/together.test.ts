import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { together } from './together.ts'

test('what all give comes in the order of the work', async () => {
  assert.deepEqual(await together([delay(5, 'slow'), Promise.resolve('quick')]), ['slow', 'quick'])
})

test('a failure is told once nothing is at work any more, the first in order if there are several', async () => {
  let atWork = true
  const slow = delay(20).then(() => {
    atWork = false
    throw new Error('slow')
  })
  await assert.rejects(together([slow, Promise.reject(new Error('quick'))]), /^Error: slow$/)
  assert.equal(atWork, false)
})
