import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Top } from './top.ts'

test('the highest are kept, highest first, and those alike in their order', () => {
  const top = new Top<string>(4)
  for (const item of ['1a', '5a', '3a', '5b', '2a', '3b', '1b']) top.offer(Number(item[0]), item)
  assert.deepEqual(top.list(), ['5a', '5b', '3a', '3b'])
  assert.equal(top.offered, 7)
})

test('it is what sorting gives, whatever comes', () => {
  const ranks = Array.from({ length: 500 }, (_, i) => (i * 7919) % 83)
  for (const most of [0, 1, 10, 499, 500, 600]) {
    const top = new Top<number>(most)
    for (const rank of ranks) top.offer(rank, rank)
    assert.deepEqual(top.list(), ranks.toSorted((a, b) => b - a).slice(0, most))
  }
})
