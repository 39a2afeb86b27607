import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call, Failure, FailureKind, SeenNic } from './model.ts'
import type { NodeState } from './node-state.ts'
import { failed, replied } from './settle.ts'
import { step } from './step.ts'
import {
  AZURE_LIMITS,
  failureOf,
  nicOf,
  printBlocks,
  printNics,
  seenOf,
  type StateParts,
  stateOf,
  worldOf,
} from './testdata.ts'

const RELEASE: Call = { kind: 'release', nic: 'eni-0', blocks: ['10.0.0.0/28'] }
const ASSIGN: Call = { kind: 'assign', nic: 'eni-0', family: 4, length: 28, count: 1 }
const INTENT = { token: 't', subnet: 's', length: 28, count: 1, sinceMs: 0 }
const CREATE: Call = { kind: 'create', token: 't', subnet: 's', length: 28, count: 1 }

function answered(state: StateParts, nics: readonly SeenNic[] = []): NodeState {
  return replied(stateOf(state), 1, { nics }, 50_000)
}
function refused(state: StateParts, kind: FailureKind): NodeState {
  return failed(stateOf(state), 1, failureOf(kind), 50_000)
}

test('blocks that the cloud has given can be given to pods, in a life of their own', () => {
  const nics = [seenOf('eni-0', { blocks: ['10.0.0.16/28'] })]
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], '10.0.0.16/28 on eni-0 allocatable 1'],
    [['10.0.0.16/28 on eni-0 released'], '10.0.0.16/28 on eni-0 allocatable 2'],
    [['10.0.0.16/28 on eni-1 releasing'], '10.0.0.16/28 on eni-0 allocatable 2'],
    // A look has shown it before the answer came: pods may have addresses of it.
    [['10.0.0.16/28 on eni-0'], '10.0.0.16/28 on eni-0 allocatable 1'],
    // An earlier request to take it back may still be carried out.
    [['10.0.0.16/28 on eni-0 releasing'], '10.0.0.16/28 on eni-0 releasing 1'],
  ]
  for (const [blocks, want] of cases) assert.deepEqual(printBlocks(answered({ blocks, calls: [ASSIGN] }, nics)), [want])
})

test('a release that is answered concerns what was to go, not what has been given anew meanwhile', () => {
  const after = (phase: string) =>
    printBlocks(answered({ blocks: [`10.0.0.0/28 on eni-0 ${phase}`], calls: [RELEASE] }))
  assert.deepEqual(after('releasing'), ['10.0.0.0/28 on eni-0 released 1'])
  assert.deepEqual(after('allocatable'), ['10.0.0.0/28 on eni-0 allocatable 1'])
})

test('a release that was refused is taken back when it was the first, and only then', () => {
  const first = { blocks: ['10.0.0.0/28 on eni-0 releasing'], calls: [RELEASE] }
  const phase = (state: NodeState) => state.blocks.get('10.0.0.0/28')?.phase
  for (const kind of ['throttled', 'unreachable', 'denied', 'invalid', 'conflict'] as const)
    assert.equal(phase(refused(first, kind)), 'drained', kind)
  for (const kind of ['ambiguous', 'gone'] as const) assert.equal(phase(refused(first, kind)), 'releasing', kind)
  const ambiguous = refused(first, 'ambiguous')
  const again = { ...ambiguous, doubtMs: undefined, restUntilMs: 0 }
  const granted = step(again, { kind: 'granted', call: 'release', world: worldOf() }, 70_000)
  const [call] = granted.calls
  assert.deepEqual(call?.call, RELEASE)
  assert.equal(phase(failed(granted.state, call?.id ?? 0, failureOf('throttled'), 70_100)), 'releasing')
})

test('a whole write that was refused leaves what it was to take away, one that was carried out shows what there is', () => {
  const WRITE: Call = {
    kind: 'write',
    add: [{ nic: 'eni-0', family: 4, length: 28, count: 1 }],
    remove: [{ nic: 'eni-0', block: '10.0.0.0/28' }],
  }
  const state = {
    limits: AZURE_LIMITS,
    blocks: ['10.0.0.0/28 on eni-0 releasing', '10.0.0.16/28 on eni-0', '10.0.0.32/28 on eni-0 released'],
    calls: [WRITE],
  }
  assert.deepEqual(printBlocks(refused(state, 'conflict')).slice(0, 1), ['10.0.0.0/28 on eni-0 drained 1'])
  const nics = [seenOf('eni-0', { blocks: ['10.0.0.16/28', '10.0.0.48/28'] })]
  assert.deepEqual(printBlocks(answered(state, nics)), [
    '10.0.0.0/28 on eni-0 released 1',
    '10.0.0.16/28 on eni-0 allocatable 2',
    '10.0.0.32/28 on eni-0 released 3',
    '10.0.0.48/28 on eni-0 allocatable 4',
  ])
  const same = [seenOf('eni-0', { blocks: ['10.0.0.0/28', '10.0.0.16/28', '10.0.0.32/28'] })]
  assert.deepEqual(printBlocks(answered(state, same)), [
    '10.0.0.0/28 on eni-0 allocatable 4',
    '10.0.0.16/28 on eni-0 allocatable 2',
    '10.0.0.32/28 on eni-0 allocatable 5',
  ])
})

test('an interface that was made is new, unless a look has shown it on its way already', () => {
  const made = seenOf('eni-7', { status: 'available', machine: '', token: 't', blocks: ['10.0.0.16/28'] })
  const state = answered({ intents: [INTENT], calls: [CREATE] }, [made])
  assert.deepEqual(printNics(state), ['eni-0 ready 0', 'eni-7 made -1'])
  assert.deepEqual([state.intents.size, printBlocks(state)], [0, ['10.0.0.16/28 on eni-7 allocatable 1']])
  const shown = {
    nics: [nicOf('eni-0'), nicOf('eni-7', { index: 2 })],
    blocks: ['10.0.0.16/28 on eni-7'],
    calls: [CREATE],
  }
  assert.deepEqual(printNics(answered(shown, [made])), ['eni-0 ready 0', 'eni-7 ready 2'])
})

test('a failed create keeps its intent while the interface may have been made', () => {
  const first = { intents: [INTENT], calls: [CREATE] }
  const retried = { intents: [{ ...INTENT, sinceMs: -9000 }], calls: [CREATE] }
  const keeps = (state: StateParts, kind: FailureKind) => refused(state, kind).intents.size === 1
  for (const kind of ['throttled', 'unreachable', 'denied', 'conflict'] as const)
    assert.deepEqual([keeps(first, kind), keeps(retried, kind)], [false, true], kind)
  for (const kind of ['full', 'fragmented', 'limit', 'invalid', 'gone'] as const)
    assert.deepEqual([keeps(first, kind), keeps(retried, kind)], [false, false], kind)
  assert.ok(keeps(first, 'ambiguous'))
})

test('a detach that was refused is taken back with its blocks when it was the first, and only then', () => {
  const state = (sinceMs: number): StateParts => ({
    nics: [nicOf('eni-0'), nicOf('eni-1', { phase: 'leaving', sinceMs })],
    blocks: ['10.0.0.0/28 on eni-1 releasing', '10.0.0.16/28 on eni-1 released'],
    calls: [{ kind: 'detach', nic: 'eni-1' }],
  })
  const print = (after: NodeState) => [...printNics(after).slice(1), ...printBlocks(after).slice(0, 1)]
  assert.deepEqual(print(refused(state(0), 'denied')), ['eni-1 ready 1', '10.0.0.0/28 on eni-1 drained 1'])
  assert.deepEqual(print(refused(state(-1), 'denied')), ['eni-1 leaving 1', '10.0.0.0/28 on eni-1 releasing 1'])
  assert.deepEqual(print(refused(state(0), 'ambiguous')), ['eni-1 leaving 1', '10.0.0.0/28 on eni-1 releasing 1'])
})

test('each step of an interface leads to the next, and what was on one that is deleted is still to be seen gone', () => {
  const on = (phase: 'made' | 'attached' | 'leaving' | 'detached', call: Call) =>
    answered({
      nics: [nicOf('eni-0'), nicOf('eni-1', { phase })],
      blocks: ['10.0.0.0/28 on eni-1 drained'],
      calls: [call],
    })
  assert.equal(printNics(on('made', { kind: 'attach', nic: 'eni-1', index: 2, token: '' }))[1], 'eni-1 attached 2')
  assert.equal(printNics(on('attached', { kind: 'protect', nic: 'eni-1' }))[1], 'eni-1 ready 1')
  assert.equal(printNics(on('leaving', { kind: 'detach', nic: 'eni-1' }))[1], 'eni-1 detached 1')
  const deleted = on('detached', { kind: 'delete', nic: 'eni-1' })
  assert.deepEqual([printNics(deleted).length, printBlocks(deleted)], [1, ['10.0.0.0/28 on eni-1 released 1']])
})

test('rests between failures double, a look does not end them, a change that succeeds does', () => {
  let state = stateOf()
  const rests: number[] = []
  const ask = (call: Call, take: (state: NodeState, id: number) => NodeState): NodeState => {
    const id = state.lastCall + 1
    state = take({ ...state, lastCall: id, pending: new Map([[id, { id, call, sinceMs: 0 }]]) }, id)
    return state
  }
  const fail = (failure: Failure) => ask(ASSIGN, (asked, id) => failed(asked, id, failure, 0))
  for (let n = 0; n < 11; n++) {
    rests.push(fail(failureOf('denied')).restUntilMs)
    state = { ...state, restUntilMs: 0 }
    ask({ kind: 'observe' }, (asked, id) => replied(asked, id, { nics: [seenOf('eni-0')] }, 0))
  }
  assert.deepEqual(rests, [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000])
  ask(ASSIGN, (asked, id) => replied(asked, id, { nics: [] }, 0))
  assert.deepEqual([state.failures, state.failure, state.restUntilMs], [0, undefined, 0])
  assert.equal(fail(failureOf('full')).restUntilMs, 0)
  assert.equal(fail({ ...failureOf('throttled'), retryAfterMs: 7000 }).restUntilMs, 7000)
})

test('after an answer that was lost nothing is changed until a look that must show it', () => {
  const state = refused({ calls: [ASSIGN] }, 'ambiguous')
  assert.equal(state.doubtMs, 60_000)
  assert.equal(refused({ calls: [ASSIGN] }, 'limit').doubtMs, 50_000)
  assert.equal(refused({ calls: [ASSIGN] }, 'throttled').doubtMs, undefined)
})
