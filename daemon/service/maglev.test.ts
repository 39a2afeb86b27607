import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TABLE_SIZES, type TableSize } from '../state/service-rows.ts'
import { type Candidate, maglevTable } from './maglev.ts'

const SEED = 'a seed'
const candidates = (n: number, weight: (i: number) => number = () => 1): Candidate[] =>
  Array.from({ length: n }, (_, i) => ({ name: `10.1.${i >> 8}.${i & 255}:80/TCP`, weight: weight(i) }))

function counts(table: Uint16Array, n: number): number[] {
  const found = Array.from({ length: n }, () => 0)
  for (const i of table) found[i] = (found[i] ?? 0) + 1
  return found
}
const spread = (numbers: readonly number[]): number => Math.max(...numbers) - Math.min(...numbers)

/** Names by slot, for tables whose candidates stand in another order. */
const named = (of: readonly Candidate[], size: TableSize = 16_381): (string | undefined)[] =>
  [...maglevTable(of, size, SEED)].map(i => of[i]?.name)

for (const size of TABLE_SIZES)
  test(`a table of ${size} slots shares them out evenly`, () => {
    const table = maglevTable(candidates(100), size, SEED)
    assert.equal(table.length, size)
    assert.ok(spread(counts(table, 100)) <= 1)
  })

test('a table depends on the set of backends, not on their order', () => {
  const all = candidates(50, i => 1 + (i % 3))
  assert.deepEqual(named(all), named(all.toReversed()))
})

test('another seed gives another table', () => {
  const all = candidates(10)
  assert.notDeepEqual(maglevTable(all, 251, 'a'), maglevTable(all, 251, 'b'))
})

test('weights share the slots out in proportion', () => {
  const weights = [1, 2, 3, 10, 100]
  const total = weights.reduce((a, b) => a + b, 0)
  const found = counts(
    maglevTable(
      candidates(5, i => weights[i] ?? 1),
      16_381,
      SEED,
    ),
    5,
  )
  for (const [i, weight] of weights.entries())
    assert.ok(Math.abs((found[i] ?? 0) - (16_381 * weight) / total) < 2, `${weight}: ${found[i]}`)
})

test('one backend has every slot, none have none', () => {
  assert.deepEqual(new Set(maglevTable(candidates(1), 251, SEED)), new Set([0]))
  assert.equal(maglevTable([], 251, SEED).length, 0)
})

test('more backends than slots leave some without', () => {
  assert.equal(new Set(maglevTable(candidates(300), 251, SEED)).size, 251)
})

/** Share of the flows of others that move when one leaves, of all slots. */
function moved(all: readonly Candidate[], leaving: number): number {
  const before = named(all)
  const after = named(all.filter((_, i) => i !== leaving))
  const others = before.filter((name, slot) => name !== all[leaving]?.name && name !== after[slot])
  return others.length / before.length
}

test('when one of 100 backends leaves, few flows of the others move', () => {
  const all = candidates(100)
  const shares = all.map((_, i) => moved(all, i))
  const mean = shares.reduce((a, b) => a + b, 0) / shares.length
  assert.ok(mean <= 0.014, `${mean}`)
})
