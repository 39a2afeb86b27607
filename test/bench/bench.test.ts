import assert from 'node:assert/strict'
import { test } from 'node:test'
import { against, beside, compare, interleave, median, quantile } from './bench.ts'

test('the median of an even number of samples lies between the two in the middle', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2)
  assert.ok(Number.isNaN(median([])))
})

test('ratios are taken round by round, so a slow round of both does not count', () => {
  const r = compare({ bench: 'b', case: 'c', unit: 'ms', peer: 'p' }, [1, 100, 1], [2, 200, 2], { ratio: 0.6 })
  assert.equal(r.ratio, 0.5)
  assert.equal(r.ok, true)
  assert.equal(compare({ bench: 'b', case: 'c', unit: 'ms', peer: 'p' }, [7], [10], { ratio: 0.6 }).ok, false)
  assert.equal(
    compare({ bench: 'b', case: 'c', unit: 'ms', peer: 'p' }, [7], [10], { ratio: 0.6, atLeast: true }).ok,
    true,
  )
})

test('a figure misses its limit when it lies above', () => {
  assert.equal(against({ bench: 'b', case: 'c', unit: 'ms' }, [9, 11, 10], 10).ok, true)
  assert.equal(against({ bench: 'b', case: 'c', unit: 'ms' }, [9, 11, 10], 10, s => quantile(s, 1)).ok, false)
})

test('cases take turns and the first round is not counted', async () => {
  const order: string[] = []
  const one = (name: string) => () => order.push(name)
  const context = { rounds: 2, say: () => undefined, signal: new AbortController().signal }
  const samples = await interleave({ a: one('a'), b: one('b') }, context)
  assert.equal(order.join(''), 'ababab')
  assert.deepEqual(samples, { a: [3, 5], b: [4, 6] })
})

test('a peer beside a figure has ratios of each round where both have as many', () => {
  const what = { bench: 'b', case: 'c', unit: 'ms', ...beside('p', [1, 100, 1], [2, 200, 4]) }
  const { ratio, quartiles, peerValue, ours } = against(what, [1, 100, 1], 10)
  assert.deepEqual([ours, peerValue, ratio, quartiles], [1, 4, 0.5, [0.375, 0.5]])
})

test('a peer printed beside a figure decides nothing', () => {
  const what = { bench: 'b', case: 'c', unit: 'ms', peer: 'p', peerValue: 4 }
  const { ratio, ok, peer } = against(what, [8], 10)
  assert.deepEqual([ratio, ok, peer], [2, true, 'p'])
})
