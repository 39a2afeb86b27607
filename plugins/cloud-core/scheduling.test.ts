/** Budgets, turns, times: what decides when a call is made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arrives, expectedArrivals, NO_ARRIVALS, withArrivals } from './arrivals.ts'
import { Bucket } from './bucket.ts'
import { byNeed, type Need } from './by-need.ts'
import { Composure, PROBE_MS } from './composure.ts'
import { Due } from './due.ts'
import type { Call } from './model.ts'
import { PAUSE_MS, Subnets } from './subnets.ts'
import { have, slotsTaken, spare, target } from './target.ts'
import { failureOf, nicOf, POLICY, type StateParts, stateOf } from './testdata.ts'
import { Turns } from './turns.ts'

const RATE = { burst: 50, perSecond: 5 }

test('a node is to have what is in use, waited for and kept warm, within its bounds, and what cools down besides', () => {
  const cases: readonly (readonly [StateParts, number])[] = [
    [{}, 8],
    [{ demand: { assigned: 3, waiting: 2 } }, 13],
    [{ demand: { assigned: 3, waiting: 2, cooling: 4 } }, 17],
    [{ policy: { ...POLICY, min: 30 } }, 30],
    [{ policy: { ...POLICY, min: 30 }, demand: { assigned: 29 } }, 37],
    [{ demand: { assigned: 105 } }, 110],
    [{ demand: { assigned: 120, cooling: 1 } }, 121],
    [{ arrivals: { part: 0, counts: [60] } }, 10],
    [{ arrivals: { part: 0, counts: [10, 10] } }, 20],
  ]
  for (const [state, want] of cases) assert.equal(target(stateOf(state), 5000, 0), want)
})

test('a node has what pods may be given, with what is under way; what goes is none of it, and takes up room', () => {
  const blocks = [
    '10.0.0.0/28 on eni-0',
    '10.0.0.16/32 on eni-0',
    '10.0.0.32/28 on eni-0 draining',
    '10.0.0.48/28 on eni-0 released',
  ]
  const assign: Call = { kind: 'assign', nic: 'eni-0', family: 4, length: 28, count: 2 }
  const intents = [{ token: 't', subnet: 's', length: 32, count: 3, sinceMs: 0 }]
  const state = stateOf({
    blocks: [...blocks, 'fd00::/80 on eni-0'],
    calls: [assign],
    intents,
    demand: { assigned: 5, waiting: 2 },
  })
  assert.deepEqual([have(state), spare(state)], [17 + 32 + 3, 17 + 32 + 3 - 7])
  assert.deepEqual([slotsTaken(state, 'eni-0', 4), slotsTaken(state, 'eni-0', 6)], [6, 1])
  const leaving = { nics: [nicOf('eni-0', { phase: 'leaving' })], blocks }
  assert.equal(have(stateOf(leaving)), 0)
  assert.equal(have(stateOf({ blocks, policy: { ...POLICY, firstNic: 1 } })), 0)
})

test('arrivals of half a minute tell how many to expect, and what came at once is no rate', () => {
  let arrivals = withArrivals(NO_ARRIVALS, 10, 0)
  // As if they were all that came in half a minute.
  assert.equal(expectedArrivals(arrivals, 1000, 6000), 2)
  arrivals = withArrivals(arrivals, 10, 10_000)
  assert.equal(expectedArrivals(arrivals, 10_000, 1000), 2)
  assert.equal(expectedArrivals(arrivals, 25_000, 1000), 1)
  assert.ok(arrives(arrivals, 39_999) && !arrives(arrivals, 40_000))
  assert.equal(expectedArrivals(arrivals, 60_000, 1000), 0)
})

test('a budget stays below what the cloud allows, at once and in the long run', () => {
  const bucket = new Bucket(RATE, 0)
  let taken = 0
  while (bucket.take(0)) taken++
  assert.deepEqual([taken, bucket.tokens(0), bucket.readyMs(0), bucket.waitMs(0, 9)], [45, 0, 211, 2106])
  assert.ok(!bucket.take(210) && bucket.take(211))
  taken++
  for (let ms = 0; ms <= 100_000; ms++) if (bucket.take(ms)) taken++
  assert.equal(taken, 45 + Math.floor(100 * 5 * 0.95))
  assert.ok(new Bucket(RATE, 0).take(0, 44) && !new Bucket(RATE, 0).take(0, 45))
})

test('a budget begins with what has filled since somebody else called', () => {
  assert.deepEqual(
    [0, 1000, 5000, 60_000].map(ms => new Bucket(RATE, 0, ms).tokens(0)),
    [0, 4, 23, 45],
  )
  const turns = new Turns(() => ({ name: 'n', rate: RATE }), 1000, 0)
  assert.equal(turns.bucket('assign', 3000).tokens(3000), 9)
})

test('throttling halves the rate and pauses, answers bring it back step by step', () => {
  const bucket = new Bucket(RATE, 0)
  bucket.throttled(0)
  assert.deepEqual([bucket.perSecond, bucket.tokens(999), bucket.tokens(1000)], [2.375, 0, 2])
  bucket.throttled(1000, 5000)
  assert.deepEqual([bucket.perSecond, bucket.readyMs(1000)], [1.187, 6000])
  for (let n = 0; n < 9; n++) bucket.throttled(1000)
  assert.equal(bucket.perSecond, 0.149)
  for (let n = 0; n < 19; n++) bucket.answered()
  assert.ok(bucket.perSecond < 4.75)
  bucket.answered()
  assert.equal(bucket.perSecond, 4.75)
})

test('something is left of a budget for what gives back, where both are paid from it', () => {
  const one = new Turns(() => ({ name: 'writes', rate: RATE }), 0, Infinity)
  const two = new Turns(kind => ({ name: kind, rate: RATE }), 0, Infinity)
  for (const turns of [one, two]) turns.want('a', new Set(['assign', 'release']), 0)
  assert.deepEqual([one.reserve('assign'), one.reserve('release'), two.reserve('assign')], [1, 0, 0])
  one.want('a', new Set(['assign']), 500)
  assert.deepEqual([one.reserve('assign'), one.kinds(), two.kinds()], [0, ['assign'], ['assign', 'release']])
})

test('how long a call waits for its turn counts from when it was wanted first, or from the turn before', () => {
  const turns = new Turns(kind => ({ name: kind, rate: RATE }), 0, Infinity)
  turns.want('a', new Set(['assign', 'release']), 100)
  turns.want('a', new Set(['assign']), 300)
  assert.equal(turns.had('a', 'assign', 450), 350)
  assert.equal(turns.had('a', 'assign', 500), 50)
  turns.want('a', new Set(['assign', 'release']), 600)
  assert.equal(turns.had('a', 'release', 700), 100)
})

test('names are due soonest first, each once, at the earliest time that was said', () => {
  const due = new Due()
  for (const [name, ms] of [
    ['c', 30],
    ['a', 10],
    ['b', 20],
    ['a', 40],
    ['c', 5],
  ] as const)
    due.at(name, ms)
  assert.equal(due.nextMs(), 5)
  assert.deepEqual(due.take(4), [])
  due.delete('b')
  assert.deepEqual(due.take(10), ['c', 'a'])
  assert.deepEqual([due.nextMs(), due.take(1000)], [undefined, []])
  for (let n = 99; n >= 0; n--) due.at(`n${String(n).padStart(2, '0')}`, n % 10)
  assert.deepEqual(due.take(1).length, 20)
  assert.deepEqual(
    due.take(2),
    Array.from({ length: 10 }, (_, n) => `n${n}2`),
  )
})

test('who waits longest is first, then who has least to spare, lacks most, is first by name', () => {
  const need = (name: string, of: Partial<Need>) => ({ need: { name, sinceMs: Infinity, spare: 0, lacking: 0, ...of } })
  const members = [
    need('f', { spare: 3 }),
    need('e', { spare: 1 }),
    need('d', { spare: 1, lacking: 5 }),
    need('c', { spare: 1 }),
    need('b', { sinceMs: 9 }),
    need('a', { sinceMs: 1 }),
    need('g', { sinceMs: 9 }),
  ]
  assert.deepEqual(
    [...byNeed(members)].map(m => m.need.name),
    ['a', 'b', 'g', 'd', 'c', 'e', 'f'],
  )
})

test('errors that go on end releases first, then growth but for a call now and then, and an answer ends that', () => {
  const composure = new Composure()
  const modes: string[] = []
  for (let s = 0; s <= 90; s += 5) {
    composure.failed(failureOf('unreachable'), s * 1000)
    modes.push(composure.mode(s * 1000))
  }
  assert.deepEqual(modes, [
    ...Array<string>(3).fill('normal'),
    ...Array<string>(9).fill('no releases'),
    ...Array<string>(7).fill('no growth'),
  ])
  assert.equal(composure.growthCalls(90_000), 1)
  composure.grew(90_000)
  assert.deepEqual([composure.growthCalls(90_001), composure.growthCalls(90_000 + PROBE_MS)], [0, 1])
  assert.equal(composure.failure?.kind, 'unreachable')
  composure.answered()
  assert.deepEqual(
    [composure.mode(90_001), composure.growthCalls(90_001), composure.failure],
    ['normal', Infinity, undefined],
  )
})

test('a full subnet, a limit, throttling and conflicts are no errors that go on', () => {
  const composure = new Composure()
  for (const kind of ['full', 'fragmented', 'limit', 'throttled', 'conflict'] as const)
    for (let s = 0; s < 200; s++) composure.failed(failureOf(kind), s * 1000)
  assert.equal(composure.mode(200_000), 'normal')
})

test('a subnet that has less than was asked for is asked for half, and then left alone for a while', () => {
  const subnets = new Subnets()
  const state = stateOf()
  const subnet = { id: 's', zone: '', cidrs: [], free: 90, forNics: true, reserved: [] }
  subnets.saw([subnet])
  const fails = (count: number, kind: 'full' | 'fragmented', length = 32) =>
    subnets.failed(state, { kind: 'assign', nic: 'eni-0', family: 4, length, count }, failureOf(kind), 1000)
  assert.deepEqual([fails(5, 'full'), subnets.all.get('s')?.free, subnets.all.get('s')?.fullUntilMs], [undefined, 2, 0])
  assert.deepEqual([fails(1, 'full'), subnets.all.get('s')?.fullUntilMs], [1000 + PAUSE_MS, 1000 + PAUSE_MS])
  assert.deepEqual(
    [fails(3, 'fragmented', 28), subnets.all.get('s')?.fragmentedUntilMs],
    [1000 + PAUSE_MS, 1000 + PAUSE_MS],
  )
  assert.equal(subnets.failed(state, { kind: 'observe' }, failureOf('full'), 0), undefined)
})

test('the subnet with most room is first, and what was full is last', () => {
  const subnets = new Subnets()
  const ids = ['a', 'b', 'c']
  const seen = (id: string, free: number) => ({ id, zone: '', cidrs: [], free, forNics: true, reserved: [] })
  subnets.saw([seen('a', 5), seen('b', 9), seen('c', 9)])
  assert.deepEqual(subnets.byRoom(ids), ['b', 'c', 'a'])
  const create: Call = { kind: 'create', token: '', subnet: 'b', length: 28, count: 1 }
  subnets.failed(stateOf(), create, failureOf('full'), 0)
  assert.deepEqual(subnets.byRoom(ids), ['c', 'a', 'b'])
})
