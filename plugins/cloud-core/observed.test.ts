import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeenNic } from './model.ts'
import type { NodeState } from './node-state.ts'
import { LAG_MS, observed } from './observed.ts'
import { nicOf, printBlocks, printNics, seenOf, type StateParts, stateOf } from './testdata.ts'

function seen(state: NodeState | StateParts, nics: readonly SeenNic[], startedMs: number): NodeState {
  return observed(
    'lastCall' in state && 'uid' in state ? (state as NodeState) : stateOf(state),
    { startedMs, nics },
    startedMs + 100,
  )
}

const FIRST = seenOf('eni-0')
const BLOCK = '10.0.0.0/28'

test('a block that nobody remembers is allocatable, one of somebody else’s interface is none', () => {
  const nics = [
    seenOf('eni-0', { blocks: [BLOCK] }),
    seenOf('eni-1', { forPods: false, token: '', blocks: ['10.0.1.0/28'] }),
  ]
  const state = seen({}, nics, 0)
  assert.deepEqual(printBlocks(state), [`${BLOCK} on eni-0 allocatable 1`])
  assert.deepEqual(printNics(state), ['eni-0 ready 0', 'eni-1 foreign 1'])
})

test('what two looks lack, both long after the change and one long after the other, is gone', () => {
  for (const phase of ['allocatable', 'released', 'releasing']) {
    const state = stateOf({ blocks: [`${BLOCK} on eni-0 ${phase}`] })
    const early = seen(state, [FIRST], LAG_MS - 1)
    assert.equal(early.blocks.get(BLOCK)?.missed, 0)
    const once = seen(early, [FIRST], LAG_MS)
    assert.equal(once.blocks.get(BLOCK)?.missed, 1)
    assert.equal(seen(once, [FIRST], 2 * LAG_MS - 1).blocks.get(BLOCK)?.missed, 1)
    assert.equal(seen(once, [seenOf('eni-0', { blocks: [BLOCK] })], 2 * LAG_MS - 1).blocks.get(BLOCK)?.missed, 0)
    assert.equal(seen(once, [FIRST], 2 * LAG_MS).blocks.size, 0)
  }
})

test('a block that was given back and is shown long after that goes back again, and never to pods', () => {
  const there = [seenOf('eni-0', { blocks: [BLOCK] })]
  const after = (phase: string, startedMs: number) =>
    printBlocks(seen({ blocks: [`${BLOCK} on eni-0 ${phase}`] }, there, startedMs))
  assert.deepEqual(after('released', LAG_MS - 1), [`${BLOCK} on eni-0 released 1`])
  assert.deepEqual(after('released', LAG_MS), [`${BLOCK} on eni-0 releasing 1`])
  for (const phase of ['releasing', 'draining', 'drained', 'allocatable'])
    assert.deepEqual(after(phase, LAG_MS), [`${BLOCK} on eni-0 ${phase} 1`])
})

test('a block that an old look shows on the interface where it was before is still on the new one', () => {
  const state = { nics: [nicOf('eni-0'), nicOf('eni-1')], blocks: [`${BLOCK} on eni-1`] }
  for (const nics of [
    [seenOf('eni-1', { blocks: [BLOCK] }), seenOf('eni-0', { blocks: [BLOCK] })],
    [seenOf('eni-0', { blocks: [BLOCK] }), seenOf('eni-1', { blocks: [BLOCK] })],
  ])
    assert.deepEqual(printBlocks(seen(state, nics, LAG_MS)), [`${BLOCK} on eni-1 allocatable 1`])
})

test('an interface is as far as it is shown, or as it was brought a moment ago', () => {
  const free = { status: 'available', machine: '', index: -1, deletedWithMachine: false } as const
  const cases: readonly (readonly [
    before: Parameters<typeof nicOf>[1],
    shown: Partial<SeenNic>,
    at: number,
    want: string,
  ])[] = [
    [{ phase: 'attached' }, free, LAG_MS - 1, 'eni-1 attached 1'],
    [{ phase: 'attached' }, free, LAG_MS, 'eni-1 made -1'],
    [{ phase: 'made', index: -1 }, { deletedWithMachine: false, status: 'attaching' }, 0, 'eni-1 attached 1'],
    [{ phase: 'attached' }, {}, 0, 'eni-1 ready 1'],
    [{ phase: 'ready' }, { deletedWithMachine: false }, LAG_MS - 1, 'eni-1 ready 1'],
    [{ phase: 'ready' }, { deletedWithMachine: false }, LAG_MS, 'eni-1 attached 1'],
    [{ phase: 'leaving' }, {}, LAG_MS, 'eni-1 leaving 1'],
    [{ phase: 'leaving' }, free, 0, 'eni-1 detached -1'],
    [{ phase: 'detached', index: -1 }, { status: 'detaching' }, LAG_MS - 1, 'eni-1 detached -1'],
    [{ phase: 'ready' }, { status: 'detaching' }, 0, 'eni-1 leaving 1'],
  ]
  for (const [before, shown, at, want] of cases) {
    const state = { nics: [nicOf('eni-0'), nicOf('eni-1', before)] }
    assert.equal(printNics(seen(state, [FIRST, seenOf('eni-1', shown)], at))[1], want)
  }
})

test('an interface that was asked for is found by its token, one that nobody asked for is left to others', () => {
  const made = seenOf('eni-7', { status: 'available', machine: '', index: -1, token: 't', deletedWithMachine: false })
  const intents = [{ token: 't', subnet: 's', length: 28, count: 1, sinceMs: 0 }]
  const found = seen({ intents }, [FIRST, made], 0)
  assert.deepEqual([printNics(found)[1], found.intents.size], ['eni-7 made -1', 0])
  assert.deepEqual(printNics(seen({}, [FIRST, made], 0)), ['eni-0 ready 0'])
})

test('a look that began before the newest one says nothing, and one that began too early ends no doubt', () => {
  const state = stateOf({ observedMs: 500, doubtMs: 900 })
  assert.equal(seen(state, [], 499), state)
  assert.deepEqual([seen(state, [FIRST], 899).doubtMs, seen(state, [FIRST], 900).doubtMs], [900, undefined])
})

test('a machine that is shown without a first interface is looked at again after a rest, and nothing is asked for', () => {
  const once = seen({ nics: [] }, [], 0)
  assert.deepEqual([once.observedMs, once.failure?.kind, once.restUntilMs], [undefined, 'gone', 1100])
  const twice = seen(once, [], 1100)
  assert.equal(twice.restUntilMs, 3200)
  const there = seen(twice, [FIRST], 3200)
  assert.deepEqual([there.observedMs, there.failure, there.restUntilMs], [3200, undefined, 0])
})

test('a look that shows what is known changes nothing that is published', () => {
  const state = stateOf({ blocks: [`${BLOCK} on eni-0`] })
  const next = seen(state, [seenOf('eni-0', { blocks: [BLOCK] })], LAG_MS)
  assert.deepEqual(
    [next.nics === state.nics, next.blocks === state.blocks, next.intents === state.intents],
    [true, true, true],
  )
})
