import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelDraining, chooseDraining } from './draining.ts'
import { nicOf, printBlocks, type StateParts, stateOf, worldOf } from './testdata.ts'

/** Blocks of /28, 0 at 10.0.0.0, 1 at 10.0.0.16 and so on. */
function block(n: number): string {
  return `10.0.0.${16 * n}/28`
}
function drained(state: StateParts): string[] {
  const after = chooseDraining(stateOf(state), worldOf(), 100_000)
  return [...after.blocks.values()].filter(({ phase }) => phase === 'draining').map(b => b.block)
}

test('idle blocks beyond the target and what may stand above it are drained, the highest of the emptiest interface first', () => {
  const nics = [nicOf('eni-0'), nicOf('eni-1')]
  const blocks = [`${block(0)} on eni-0`, `${block(1)} on eni-0`, `${block(2)} on eni-1`, `${block(3)} on eni-1`]
  const idle = [block(1), block(2), block(3)]
  const demand = { assigned: 4 }
  assert.deepEqual(drained({ nics, blocks, idle, demand }), [block(2), block(3)])
  assert.deepEqual(drained({ nics, blocks, idle, demand: { assigned: 20 } }), [block(3)])
  assert.deepEqual(drained({ nics, blocks, idle, demand: { assigned: 21 } }), [block(3)])
  assert.deepEqual(drained({ nics, blocks, idle, demand: { assigned: 25 } }), [])
  assert.deepEqual(drained({ nics, blocks, idle, demand: { assigned: 10, cooling: 15 } }), [])
  assert.deepEqual(drained({ nics, blocks, idle: [], demand }), [])
})

test('nothing is drained while something is under way or in doubt', () => {
  const blocks = [0, 1, 2, 3].map(n => `${block(n)} on eni-0`)
  const idle = [1, 2, 3].map(block)
  assert.equal(drained({ blocks, idle }).length, 2)
  const intents = [{ token: 't', subnet: 's', length: 28, count: 1, sinceMs: 0 }]
  for (const other of [
    { intents },
    { doubtMs: 0 },
    { observedMs: undefined },
    { calls: [{ kind: 'observe' }] as const },
  ])
    assert.deepEqual(drained({ blocks, idle, ...other }), [])
})

test('what is wanted again comes back in a new life, the lowest first; what the cloud may have been asked for does not', () => {
  const blocks = [`${block(0)} on eni-0 draining`, `${block(1)} on eni-0 drained`, `${block(2)} on eni-0 releasing`]
  const after = (waiting: number) =>
    printBlocks(cancelDraining(stateOf({ blocks, demand: { waiting } }), worldOf(), 1000))
  assert.deepEqual(after(8), [
    `${block(0)} on eni-0 allocatable 4`,
    `${block(1)} on eni-0 drained 2`,
    `${block(2)} on eni-0 releasing 3`,
  ])
  assert.deepEqual(after(80), [
    `${block(0)} on eni-0 allocatable 4`,
    `${block(1)} on eni-0 allocatable 5`,
    `${block(2)} on eni-0 releasing 3`,
  ])
})

test('a node that does not answer keeps its blocks after a minute', () => {
  const state = stateOf({
    blocks: [`${block(0)} on eni-0`, `${block(1)} on eni-0 draining`, `${block(2)} on eni-0 drained`],
  })
  assert.equal(cancelDraining(state, worldOf(), 59_999), state)
  assert.deepEqual(printBlocks(cancelDraining(state, worldOf(), 60_000)).slice(1), [
    `${block(1)} on eni-0 allocatable 4`,
    `${block(2)} on eni-0 drained 3`,
  ])
})

test('blocks of an interface that goes do not come back', () => {
  const state = stateOf({
    nics: [nicOf('eni-1', { phase: 'leaving' })],
    blocks: [`${block(0)} on eni-1 drained`],
    demand: { waiting: 9 },
  })
  assert.equal(cancelDraining(state, worldOf(), 1000), state)
})
