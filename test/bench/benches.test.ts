import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bench } from './bench.ts'
import { chooseBenches } from './benches.ts'

const all = ['start', 'forwarding', 'forwarding --test-run'].map((name): Bench => {
  return { name, summary: '', run: () => (async function* () {})() }
})
const chosen = (names: readonly string[], testRun = false): string =>
  chooseBenches(all, { names, testRun })
    .map(b => b.name)
    .join(', ')

test('without a name all benches run, in their order', () => {
  assert.equal(chosen([]), 'start, forwarding, forwarding --test-run')
  assert.equal(chosen([], true), 'forwarding --test-run')
})

test('--test-run means the variant of the bench that is named', () => {
  assert.equal(chosen(['forwarding', 'start']), 'forwarding, start')
  assert.equal(chosen(['forwarding'], true), 'forwarding --test-run')
})

test('a bench there is none of is named', () => {
  assert.throws(() => chosen(['backward']), /^RangeError: no bench named backward$/)
  assert.throws(() => chosen(['start'], true), /^RangeError: no bench named start --test-run$/)
})
