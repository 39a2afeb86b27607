import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Limits, Policy, SeenNic } from './model.ts'
import { NOTHING_PUBLISHED } from './node-state.ts'
import { mostAddresses } from './room.ts'
import { firstState, step } from './step.ts'

const LIMITS: Limits = { nics: 3, slots: 4, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
const POLICY: Policy = {
  families: [4],
  preAllocate: 8,
  min: 0,
  maxAbove: 16,
  maxPods: 1000,
  releaseDelayMs: 0,
  firstNic: 0,
  prefixes: true,
}
const nic = (index: number, blocks: readonly string[], forPods = true): SeenNic => {
  const own = { mac: '', subnet: 's', status: 'attached', machine: 'i', deletedWithMachine: true } as const
  return { ...own, id: `eni-${index}`, index, forPods, token: '', node: 'a', addresses: [], blocks }
}

function most(
  nics: readonly SeenNic[],
  policy: Partial<Policy> = {},
  limits: Partial<Limits> = {},
): number | undefined {
  const node = { name: 'a', uid: 'u', policy: { ...POLICY, ...policy } }
  const known = step(firstState(node, NOTHING_PUBLISHED, 0), { kind: 'limits', limits: { ...LIMITS, ...limits } }, 0)
  return mostAddresses(step(known.state, { kind: 'observed', startedMs: 1, nics }, 2).state)
}

test('a machine can give what its interfaces have room for, and those that may still come', () => {
  assert.equal(most([nic(0, [])]), 3 * 4 * 16)
  assert.equal(most([nic(0, ['10.0.0.16/28', '10.0.0.7/32'])]), 16 + 1 + 2 * 16 + 2 * 4 * 16)
})

const cases: readonly (readonly [what: string, want: number, of: Parameters<typeof most>])[] = [
  ['no more than it takes pods', 110, [[nic(0, [])], { maxPods: 110 }]],
  ['single addresses without prefixes', 12, [[nic(0, [])], { prefixes: false }]],
  ['single addresses on a machine without them', 12, [[nic(0, [])], {}, { lengths: { 4: [32], 6: [] } }]],
  ['nothing of interfaces that are not for pods', 2 * 4 * 16, [[nic(0, [])], { firstNic: 1 }]],
  ['nothing where others have an interface', 2 * 4 * 16, [[nic(0, []), nic(1, [], false)]]],
  ['no interfaces to come where machines are written as a whole', 64, [[nic(0, [])], {}, { wholeWrites: true }]],
  ['with IPv6 alone one for each pod', 50, [[nic(0, [])], { families: [6], maxPods: 50 }]],
]
for (const [what, want, of] of cases)
  test(`of the most that a machine can give: ${what}`, () => assert.equal(most(...of), want))

test('before a look, or without limits, it is not known', () => {
  const state = firstState({ name: 'a', uid: 'u', policy: POLICY }, NOTHING_PUBLISHED, 0)
  assert.equal(mostAddresses(state), undefined)
  assert.equal(mostAddresses(step(state, { kind: 'limits', limits: LIMITS }, 0).state), undefined)
})
