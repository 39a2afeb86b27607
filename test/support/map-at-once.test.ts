import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { mapAtOnce } from './map-at-once.ts'

test('results stand in the order of the items, however many are at work', async () => {
  for (const limit of [1, 2, 10]) {
    let [busy, most] = [0, 0]
    const results = await mapAtOnce([30, 1, 20, 5], limit, async ms => {
      most = Math.max(most, ++busy)
      await setTimeout(ms)
      busy--
      return ms * 2
    })
    assert.deepEqual([results, most], [[60, 2, 40, 10], Math.min(limit, 4)])
  }
  assert.deepEqual(await mapAtOnce([], 2, async () => assert.fail('there is nothing to do')), [])
})

test('the first failure is told, and nothing is begun after it', async () => {
  const begun: number[] = []
  const work = async (item: number): Promise<void> => {
    begun.push(item)
    await setTimeout(item)
    if (item === 1) throw new Error('one')
  }
  await assert.rejects(mapAtOnce([1, 5, 2, 3], 2, work), /one/)
  await setTimeout(20)
  assert.deepEqual(begun, [1, 5])
})
