import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTables } from '../state/tables.ts'
import { policyProblems } from './not-enforced.ts'

function problems(...names: string[]): string[] {
  const tables = createTables()
  for (const name of names) tables.networkPolicies.put({ namespace: 'default', name })
  return policyProblems(tables).map(({ message }) => message)
}

test('policies are named as not enforced, the first of many', () => {
  assert.deepEqual(problems(), [])
  assert.deepEqual(problems('b', 'a'), ['not enforced, traffic passes as if there were none: default/a, default/b'])
  assert.deepEqual(problems('a', 'b', 'c', 'd', 'e'), [
    'not enforced, traffic passes as if there were none: default/a, default/b, default/c and 2 more',
  ])
})
