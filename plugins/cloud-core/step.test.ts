import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LAG_MS } from './observed.ts'
import { firstState, type NodeEvent, published, step } from './step.ts'
import { nicOf, POLICY, printBlocks, stateOf, worldOf } from './testdata.ts'

const NODE = { name: 'a', uid: 'uid', policy: POLICY }

function drainedSays(...lives: readonly (readonly [string, number])[]): NodeEvent {
  return { kind: 'demand', demand: new Map(), idle: [], drained: lives.map(([block, born]) => ({ block, born })) }
}

test('what is published of a state is what a new leader begins with', () => {
  const state = stateOf({
    nics: [nicOf('eni-0'), nicOf('eni-1', { phase: 'attached', mac: '02:00:00:00:00:01', addresses: ['10.0.0.4'] })],
    blocks: ['10.0.0.16/28 on eni-0', '10.0.0.32/28 on eni-1 drained'],
    intents: [{ token: 't', subnet: 's', length: 28, count: 2, sinceMs: 0 }],
    lastIntent: 3,
  })
  const text = JSON.stringify(published(state))
  const next = firstState(NODE, JSON.parse(text), 1000)
  assert.equal(JSON.stringify(published(next)), text)
  assert.deepEqual([next.lastBorn, next.lastIntent, next.observedMs, next.doubtMs], [2, 3, undefined, undefined])
  assert.deepEqual(
    [...next.blocks.values()].map(b => [b.sinceMs, b.missed]),
    [
      [1000, 0],
      [1000, 0],
    ],
  )
})

test('a new leader changes nothing of a node until what the one before may have asked for must be seen', () => {
  const doubt = (parts: Parameters<typeof stateOf>[0]) => firstState(NODE, published(stateOf(parts)), 1000).doubtMs
  assert.equal(doubt({ blocks: ['10.0.0.16/28 on eni-0 releasing'] }), 1000 + LAG_MS)
  assert.equal(doubt({ nics: [nicOf('eni-1', { phase: 'leaving' })] }), 1000 + LAG_MS)
  assert.equal(doubt({ blocks: ['10.0.0.16/28 on eni-0 draining', '10.0.0.32/28 on eni-0 released'] }), undefined)
})

test('a node’s word that it gives no more of a block counts for that life of the block only', () => {
  const state = stateOf({
    blocks: ['10.0.0.0/28 on eni-0 draining', '10.0.0.16/28 on eni-0', '10.0.0.32/28 on eni-0 draining'],
  })
  const said = drainedSays(['10.0.0.0/28', 1], ['10.0.0.16/28', 2], ['10.0.0.32/28', 2])
  assert.deepEqual(printBlocks(step(state, said, 0).state), [
    '10.0.0.0/28 on eni-0 drained 1',
    '10.0.0.16/28 on eni-0 allocatable 2',
    '10.0.0.32/28 on eni-0 draining 3',
  ])
})

test('what a call is about is written down when it is granted', () => {
  const grant = (state: ReturnType<typeof stateOf>, call: 'create' | 'detach' | 'release') => {
    const { state: next, calls } = step(state, { kind: 'granted', call, world: worldOf() }, 100_000)
    return {
      next: published(next),
      calls: calls.map(pending => pending.call.kind),
      again: step(next, { kind: 'granted', call, world: worldOf() }, 100_000).calls.length,
    }
  }
  const growing = grant(stateOf({ nics: [nicOf('eni-0', { phase: 'foreign' })], demand: { waiting: 3 } }), 'create')
  assert.deepEqual(
    [growing.calls, growing.next.intents.length, growing.next.lastIntent, growing.again],
    [['create'], 1, 1, 0],
  )
  const shrinking = grant(stateOf({ blocks: ['10.0.0.0/28 on eni-0 drained', '10.0.0.16/28 on eni-0'] }), 'release')
  assert.deepEqual([shrinking.calls, shrinking.next.blocks[0]?.phase, shrinking.again], [['release'], 'releasing', 0])
  const nics = [nicOf('eni-0'), nicOf('eni-1')]
  const going = grant(stateOf({ nics, blocks: ['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-1 drained'] }), 'detach')
  assert.deepEqual(
    [going.calls, going.next.nics[1]?.phase, going.next.blocks[1]?.phase, going.again],
    [['detach'], 'leaving', 'releasing', 0],
  )
})

test('pods that a leader finds when it begins have not just come', () => {
  const says = (assigned: number): NodeEvent => ({
    kind: 'demand',
    demand: new Map([[4, { assigned, waiting: 1, cooling: 0 }]]),
    idle: [],
    drained: [],
  })
  const first = step(stateOf(), says(50), 5000).state
  assert.deepEqual([first.arrivals.counts, first.waitingSinceMs], [[], 5000])
  const then = step(first, says(53), 6000).state
  assert.deepEqual([then.arrivals.counts, then.waitingSinceMs], [[3], 5000])
})
