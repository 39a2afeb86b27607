import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EgressPolicyRow } from '../../daemon/state/egress-rows.ts'
import { policy } from './testdata.ts'
import { verdicts } from './winners.ts'

/** A line for each destination: who has it, and who would have had it else. */
function lines(policies: readonly EgressPolicyRow[], family: 4 | 6 = 4): string[] {
  return verdicts(policies, family).map(({ destination, winner, others }) =>
    [destination, winner?.name ?? 'excluded', ...others.map(({ name }) => name)].join(' '),
  )
}

const rules: readonly (readonly [string, readonly EgressPolicyRow[], readonly string[]])[] = [
  [
    'the longest destination wins, whatever the priority',
    [policy('wide', { priority: 9 }), policy('narrow', { destinations: ['10.0.0.0/8'] })],
    ['0.0.0.0/0 wide', '10.0.0.0/8 narrow wide'],
  ],
  [
    'of equal destinations the higher priority',
    [policy('a', { priority: 1 }), policy('b', { priority: 2 })],
    ['0.0.0.0/0 b a'],
  ],
  [
    'of equal priorities the older, and one whose age is known',
    [policy('a'), policy('b', { created: '2025-06-01T00:00:00Z' }), policy('c', { created: '2024-06-01T00:00:00Z' })],
    ['0.0.0.0/0 c b a'],
  ],
  ['else the first by name', [policy('b'), policy('a')], ['0.0.0.0/0 a b']],
  [
    'what one policy excepts another may have',
    [policy('a', { priority: 5, excluded: ['10.0.0.0/8'] }), policy('b')],
    ['0.0.0.0/0 a b', '10.0.0.0/8 b'],
  ],
  ['what all except is nobody’s', [policy('a', { excluded: ['10.0.0.0/8'] })], ['0.0.0.0/0 a', '10.0.0.0/8 excluded']],
  [
    'within one policy the longest prefix decides, of equal ones the exception',
    [
      policy('a', {
        destinations: ['10.0.0.0/8', '10.1.1.0/24', '10.2.0.0/16'],
        excluded: ['10.1.0.0/16', '10.2.0.0/16'],
      }),
    ],
    ['10.0.0.0/8 a', '10.1.0.0/16 excluded', '10.1.1.0/24 a', '10.2.0.0/16 excluded'],
  ],
]
for (const [what, policies, expected] of rules)
  test(what, () => {
    assert.deepEqual(lines(policies), expected)
    assert.deepEqual(lines(policies.toReversed()), expected, 'in any order of the policies')
  })

test('families do not meet', () => {
  const both = [policy('a', { destinations: ['0.0.0.0/0', '2001:db8::/32'] })]
  assert.deepEqual(lines(both, 4), ['0.0.0.0/0 a'])
  assert.deepEqual(lines(both, 6), ['2001:db8::/32 a'])
})
