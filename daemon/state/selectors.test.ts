import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LabelRequirement } from './egress-rows.ts'
import { everything, labelled, selects } from './selectors.ts'

const cases: readonly (readonly [LabelRequirement['operator'], readonly string[], Record<string, string>, boolean])[] =
  [
    ['In', ['a', 'b'], { tier: 'b' }, true],
    ['In', ['a'], { tier: 'b' }, false],
    ['In', ['a'], {}, false],
    ['NotIn', ['a'], { tier: 'b' }, true],
    ['NotIn', ['a'], { tier: 'a' }, false],
    ['NotIn', ['a'], {}, true],
    ['Exists', [], { tier: '' }, true],
    ['Exists', [], {}, false],
    ['DoesNotExist', [], { tier: 'a' }, false],
    ['DoesNotExist', [], {}, true],
  ]
for (const [operator, values, labels, expected] of cases)
  test(`tier ${operator} (${values.join(', ')}) ${expected ? 'selects' : 'leaves out'} ${JSON.stringify(labels)}`, () => {
    const selector = { matchLabels: {}, matchExpressions: [{ key: 'tier', operator, values }] }
    assert.equal(selects(selector, labels), expected)
  })

test('all requirements must hold, and none selects everything', () => {
  assert.equal(selects(everything, {}), true)
  assert.equal(selects(labelled({ a: '1', b: '2' }), { a: '1' }), false)
  const exists = [{ key: 'c', operator: 'Exists' as const, values: [] }]
  assert.equal(selects({ matchLabels: { a: '1' }, matchExpressions: exists }, { a: '1' }), false)
  assert.equal(selects({ matchLabels: { a: '1' }, matchExpressions: exists }, { a: '1', c: '' }), true)
})

test('what every object has without saying is no label', () => {
  const exists = [{ key: 'constructor', operator: 'Exists' as const, values: [] }]
  assert.equal(selects({ matchLabels: {}, matchExpressions: exists }, {}), false)
})
