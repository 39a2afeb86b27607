import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { mapAtOnce } from './map-at-once.ts'

/** Work that ends when the test says so, in whichever order; no time is waited for. */
function heldWork() {
  const begun: number[] = []
  const held = new Map<number, PromiseWithResolvers<number>>()
  return {
    begun,
    work: (item: number): Promise<number> => {
      begun.push(item)
      const end = Promise.withResolvers<number>()
      held.set(item, end)
      return end.promise
    },
    /** What follows from an end has happened a turn of the event loop later. */
    end: async (item: number, error?: Error): Promise<void> => {
      const end = held.get(item)
      if (error === undefined) end?.resolve(item * 2)
      else end?.reject(error)
      await turn()
    },
  }
}

test('results stand in the order of the items, however they end, and no more than the limit are at work', async () => {
  const { begun, work, end } = heldWork()
  const results = mapAtOnce([1, 2, 3, 4], 2, work)
  assert.deepEqual(begun, [1, 2])
  await end(2)
  assert.deepEqual(begun, [1, 2, 3])
  await end(3)
  await end(4)
  await end(1)
  assert.deepEqual(await results, [2, 4, 6, 8])
})

test('with a limit above their number all are at work, and with none there is nothing to do', async () => {
  const { begun, work, end } = heldWork()
  const results = mapAtOnce([1, 2], 10, work)
  assert.deepEqual(begun, [1, 2])
  for (const item of [1, 2]) await end(item)
  assert.deepEqual(await results, [2, 4])
  assert.deepEqual(await mapAtOnce([], 2, work), [])
  assert.deepEqual(begun, [1, 2])
})

test('the first failure is told, and nothing is begun after it', async () => {
  const { begun, work, end } = heldWork()
  const failed = assert.rejects(mapAtOnce([1, 2, 3], 2, work), /one/)
  await end(1, new Error('one'))
  await failed
  await end(2)
  assert.deepEqual(begun, [1, 2])
})
