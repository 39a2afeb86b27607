import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fleet } from './fleet.ts'
import type { FailureKind } from './model.ts'
import { NOTHING_PUBLISHED } from './node-state.ts'
import { CloudFailure, type Machine } from './provider.ts'
import { sweepParts } from './sweep-parts.ts'
import { POLICY, seenOf } from './testdata.ts'

const machine = (id: string): Machine => ({ node: id, id, type: 't', zone: 'z' })
const parts = ['a', 'b', 'c'].map(name => ({ name, machines: [machine(`${name}1`), machine(`${name}2`)] }))
const looks = (failures: Readonly<Record<string, FailureKind>>) => (part: (typeof parts)[number]) => {
  const kind = failures[part.name]
  return kind === undefined
    ? Promise.resolve(part.name)
    : Promise.reject(new CloudFailure(kind, `${part.name} is ${kind}`))
}

test('what is found is in the order of the parts, with the machines that were looked at', async () => {
  assert.deepEqual(await sweepParts(2, parts, looks({})), {
    found: ['a', 'b', 'c'],
    machines: ['a1', 'a2', 'b1', 'b2', 'c1', 'c2'],
    missing: [],
  })
})

test('a part that is denied is left out, and said', async () => {
  assert.deepEqual(await sweepParts(2, parts, looks({ b: 'denied' })), {
    found: ['a', 'c'],
    machines: ['a1', 'a2', 'c1', 'c2'],
    missing: ['b is denied'],
  })
})

const all: readonly (readonly [failures: Readonly<Record<string, FailureKind>>, kind: FailureKind])[] = [
  [{ a: 'denied', b: 'invalid', c: 'gone' }, 'denied'],
  [{ b: 'throttled' }, 'throttled'],
  [{ c: 'unreachable' }, 'unreachable'],
]
for (const [failures, kind] of all)
  test(`failures ${JSON.stringify(failures)} are those of the whole`, async () => {
    await assert.rejects(sweepParts(2, parts, looks(failures)), { kind })
  })

test('a look that was not at a machine says nothing of it: it came later, or nobody may look at its account', () => {
  const budget = () => ({ name: 'b', rate: { burst: 10, perSecond: 1 } })
  const fleet = new Fleet({ budget, sweepMs: 60_000, random: () => 0 }, 0)
  fleet.put({ name: 'n', uid: 'u', machine: 'i-a', policy: POLICY, subnets: [] }, NOTHING_PUBLISHED, 0)
  assert.equal(fleet.take(0).sweep, true)
  fleet.swept({ nics: [], subnets: [], machines: ['i-other'] }, 0, 10)
  assert.equal(fleet.state('n')?.observedMs, undefined)
  assert.equal(fleet.take(60_000).sweep, true)
  fleet.swept({ nics: [seenOf('eni-0')], subnets: [], machines: ['i-a'] }, 60_000, 60_010)
  assert.deepEqual([fleet.state('n')?.observedMs, fleet.state('n')?.nics.size], [60_000, 1])
})
