import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call } from './model.ts'
import { laterMs, plan, shortage, type World } from './plan.ts'
import { AZURE_LIMITS, nicOf, POLICY, type StateParts, stateOf, worldOf } from './testdata.ts'

function text(call: Call): string {
  switch (call.kind) {
    case 'assign':
      return `assign ${call.count} /${call.length} to ${call.nic}`
    case 'release':
      return `release ${call.blocks.join(' ')} of ${call.nic}`
    case 'create':
      return `create in ${call.subnet} with ${call.count} /${call.length}`
    case 'attach':
      return `attach ${call.nic} at ${call.index}`
    case 'write': {
      const added = call.add.map(({ nic, count, length }) => `+${count} /${length} ${nic}`)
      return `write ${[...added, ...call.remove.map(({ block }) => `-${block}`)].join(', ')}`
    }
    case 'observe':
      return 'observe'
    case 'protect':
    case 'detach':
    case 'delete':
      return `${call.kind} ${call.nic}`
  }
}

function planned(state: StateParts, world: World = worldOf(), nowMs = 100_000): string[] {
  return plan(stateOf(state), world, nowMs).map(text)
}

const FULL = ['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-0', '10.0.0.32/28 on eni-0', '10.0.0.48/28 on eni-0']

test('what a node wants is asked of interfaces with room first, then of new ones, all at once', () => {
  const cases: readonly (readonly [StateParts, readonly string[]])[] = [
    [{}, ['assign 1 /28 to eni-0']],
    [{ demand: { assigned: 8, waiting: 20 }, blocks: ['10.0.0.0/28 on eni-0'] }, ['assign 2 /28 to eni-0']],
    [{ demand: { waiting: 90 } }, ['assign 4 /28 to eni-0', 'create in s with 3 /28']],
    [{ demand: { assigned: 60, waiting: 40 }, blocks: FULL }, ['create in s with 3 /28']],
    [
      { demand: { assigned: 64, waiting: 40 }, blocks: FULL, policy: { ...POLICY, prefixes: false } },
      ['create in s with 4 /32', 'create in s with 4 /32'],
    ],
    [
      {
        demand: { assigned: 64, waiting: 40 },
        blocks: FULL,
        limits: { ...AZURE_LIMITS, wholeWrites: false, slots: 4 },
      },
      [],
    ],
    [{ demand: { waiting: 4 }, blocks: ['10.0.0.0/28 on eni-0'] }, []],
    [{ policy: { ...POLICY, firstNic: 1 } }, ['create in s with 1 /28']],
    [{ policy: { ...POLICY, families: [4, 6] } }, ['assign 1 /80 to eni-0', 'assign 1 /28 to eni-0']],
    [{ demand: { waiting: 20 }, calls: [{ kind: 'assign', nic: 'eni-0', family: 4, length: 28, count: 2 }] }, []],
  ]
  for (const [state, want] of cases) assert.deepEqual(planned(state), want)
})

test('where nothing but room of blocks that were given back is left, it is looked whether that is free; no shortage is said', () => {
  const limits = { ...AZURE_LIMITS, wholeWrites: false, nics: 1, slots: 2 }
  const at = (sinceMs: number, missed = 0) => {
    const state = stateOf({ demand: { assigned: 16, waiting: 4 }, limits, blocks: FULL.slice(0, 1) })
    const [full] = state.blocks.values()
    assert.ok(full)
    const gone = { ...full, block: '10.0.0.16/28', phase: 'released', sinceMs, missed } as const
    return { ...state, blocks: new Map(state.blocks).set(gone.block, gone) }
  }
  const said = (state: ReturnType<typeof at>, nowMs = 100_000) => [
    plan(state, worldOf(), nowMs).map(text).join(),
    laterMs(state, nowMs),
    shortage(state, worldOf(), nowMs),
  ]
  assert.deepEqual(said(at(95_000)), ['', 105_000, undefined])
  assert.deepEqual(said(at(90_000)), ['observe', undefined, undefined])
  assert.deepEqual(said(at(90_000, 1)), ['assign 1 /28 to eni-0', undefined, undefined])
  assert.equal(
    shortage(stateOf({ demand: { assigned: 32, waiting: 4 }, limits, blocks: FULL.slice(0, 2) }), worldOf(), 100_000),
    'machine',
  )
})

test('an interface is brought to its end step by step, whatever was done of it before', () => {
  const at = (phase: 'made' | 'attached' | 'ready' | 'leaving' | 'detached', sinceMs = 0) => ({
    nics: [nicOf('eni-0'), nicOf('eni-1', { phase, sinceMs, index: phase === 'made' ? -1 : 1 })],
    blocks: ['10.0.0.0/28 on eni-0'],
  })
  const intent = { token: 't', subnet: 's', length: 28, count: 1, sinceMs: 0 }
  const cases: readonly (readonly [StateParts, readonly string[]])[] = [
    [{ intents: [intent], blocks: FULL }, ['create in s with 1 /28']],
    [{ intents: [intent], blocks: FULL, calls: [{ kind: 'create', ...intent }] }, []],
    [at('made'), ['attach eni-1 at 1']],
    [at('attached'), ['protect eni-1']],
    [at('ready'), ['detach eni-1']],
    [at('ready', 99_000), []],
    [at('leaving'), ['detach eni-1']],
    [at('detached'), ['delete eni-1']],
    [at('detached', 99_000), []],
  ]
  for (const [state, want] of cases) assert.deepEqual(planned(state), want)
})

test('an interface is attached at the lowest index that nobody has, and deleted when others have them all', () => {
  const made = nicOf('eni-9', { phase: 'made', index: -1 })
  const other = (index: number) => nicOf(`eni-${index}`, { phase: 'foreign' })
  const blocks = ['10.0.0.0/28 on eni-0']
  assert.deepEqual(planned({ nics: [nicOf('eni-0'), other(1), made], blocks }), ['attach eni-9 at 2'])
  assert.deepEqual(planned({ nics: [nicOf('eni-0'), other(1), other(2), made], blocks }), ['delete eni-9'])
  const leaving = nicOf('eni-2', { phase: 'leaving' })
  assert.deepEqual(planned({ nics: [nicOf('eni-0'), other(1), leaving, made], blocks }), ['detach eni-2'])
  const attaching: Call = { kind: 'attach', nic: 'eni-8', index: 1, token: '' }
  const two = nicOf('eni-8', { phase: 'made', index: -1 })
  assert.deepEqual(planned({ nics: [nicOf('eni-0'), two, made], blocks }), ['attach eni-8 at 1', 'attach eni-9 at 2'])
  assert.deepEqual(planned({ nics: [nicOf('eni-0'), two, made], blocks, calls: [attaching] }), ['attach eni-9 at 2'])
})

test('what the node gave up goes back, with its interface when nothing else is on that', () => {
  const nics = [nicOf('eni-0'), nicOf('eni-1')]
  const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
    [['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-1 draining'], []],
    [['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-1 drained'], ['detach eni-1']],
    [['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-1 releasing'], ['detach eni-1']],
    [['10.0.0.0/28 on eni-0 drained', '10.0.0.16/28 on eni-1'], ['release 10.0.0.0/28 of eni-0']],
    [
      ['10.0.0.0/28 on eni-1', '10.0.0.48/28 on eni-1 releasing', '10.0.0.32/28 on eni-1 drained'],
      ['release 10.0.0.32/28 10.0.0.48/28 of eni-1'],
    ],
    [['10.0.0.0/28 on eni-1', '10.0.0.48/28 on eni-1 released'], []],
  ]
  for (const [blocks, want] of cases) {
    assert.deepEqual(planned({ nics, blocks }), want)
    assert.deepEqual(planned({ nics, blocks }, worldOf({ releases: false })), [])
  }
})

test('all changes of a machine that is written as a whole are one write, and none while one is under way', () => {
  const blocks = ['10.0.0.0/28 on eni-0', '10.0.0.16/28 on eni-0 drained', '10.0.0.32/28 on eni-0 releasing']
  const state = { blocks, limits: AZURE_LIMITS, demand: { waiting: 20 } }
  assert.deepEqual(planned(state), ['write +1 /28 eni-0, -10.0.0.16/28, -10.0.0.32/28'])
  assert.deepEqual(planned(state, worldOf({ growth: false })), ['write -10.0.0.16/28, -10.0.0.32/28'])
  assert.deepEqual(planned(state, worldOf({ releases: false })), ['write +1 /28 eni-0'])
  assert.deepEqual(planned({ ...state, calls: [{ kind: 'write', add: [], remove: [] }] }), [])
})

test('a subnet that is fragmented gives single addresses, one that is full gives none, another one may', () => {
  const over = 200_000
  const cases: readonly (readonly [StateParts, Parameters<typeof worldOf>[0], readonly string[]])[] = [
    [
      { demand: { waiting: 2 } },
      { subnets: { s: { fragmentedUntilMs: over } } },
      ['assign 4 /32 to eni-0', 'create in s with 4 /32', 'create in s with 2 /32'],
    ],
    [{}, { subnets: { s: { fragmentedUntilMs: over, free: 3 } } }, ['assign 3 /32 to eni-0']],
    [{}, { subnets: { s: { fragmentedUntilMs: over, free: 0 } } }, ['assign 1 /32 to eni-0']],
    [{}, { subnets: { s: { fullUntilMs: over } } }, []],
    [{}, { subnets: { s: { fullUntilMs: over }, t: {} } }, ['create in t with 1 /28']],
    [
      {},
      { subnets: { s: { fullUntilMs: over }, t: { fragmentedUntilMs: over }, u: {} }, choices: ['s', 't', 'u'] },
      ['create in t with 4 /32', 'create in t with 4 /32'],
    ],
  ]
  for (const [state, world, want] of cases) assert.deepEqual(planned(state, worldOf(world)), want)
})

test('nothing is changed before all is known, while something is in doubt, or while the node rests', () => {
  assert.deepEqual(planned({ limits: undefined }), [])
  assert.deepEqual(planned({ observedMs: undefined }), ['observe'])
  assert.deepEqual(planned({ observedMs: undefined, calls: [{ kind: 'observe' }] }), [])
  assert.deepEqual(planned({ doubtMs: 100_001 }), [])
  assert.deepEqual(planned({ doubtMs: 99_999 }), ['observe'])
  assert.deepEqual(planned({ restUntilMs: 100_001 }), [])
})

test('a plan may change without anything happening when a rest, a doubt or a wait is over', () => {
  assert.equal(laterMs(stateOf({ nics: [] }), 1000), undefined)
  assert.equal(laterMs(stateOf({ nics: [], restUntilMs: 4000, doubtMs: 3000 }), 1000), 3000)
  assert.equal(laterMs(stateOf({ nics: [nicOf('eni-1', { phase: 'detached' })] }), 1000), 5000)
  assert.equal(laterMs(stateOf({ nics: [], blocks: ['10.0.0.0/28 on eni-0 draining'] }), 1000), 60_000)
})

test('a node is short of addresses when it lacks more than a reserve and no call brings them', () => {
  const full = { demand: { assigned: 64, waiting: 9 }, blocks: FULL }
  const one = { ...AZURE_LIMITS, wholeWrites: false, slots: 4 }
  const none = worldOf({ subnets: { s: { fullUntilMs: 200_000 } } })
  const is = (state: StateParts, world = worldOf()) => shortage(stateOf(state), world, 100_000)
  assert.equal(is(full), undefined)
  assert.equal(is({ ...full, limits: one }), 'machine')
  assert.equal(is(full, none), 'subnets')
  assert.equal(is({ demand: { assigned: 60 }, blocks: FULL }, none), undefined)
  assert.equal(is({ ...full, doubtMs: 0 }, none), undefined)
})
