import assert from 'node:assert/strict'
import { test } from 'node:test'
import { age } from './column.ts'
import { find } from './json-path.ts'

const object = {
  spec: { mode: 'native', cidrs: ['10.0.0.0/8', 'fd00::/8'], 'a.b': 1 },
  status: {
    conditions: [
      { type: 'Other', status: 'False' },
      { type: 'Ready', status: 'True' },
    ],
  },
}

for (const [path, want] of [
  ['.spec.mode', ['native']],
  ['.spec.cidrs', [['10.0.0.0/8', 'fd00::/8']]],
  ['.spec.cidrs[0]', ['10.0.0.0/8']],
  ['.spec.cidrs[-1]', ['fd00::/8']],
  ['.spec.cidrs[*]', ['10.0.0.0/8', 'fd00::/8']],
  ['.spec.a\\.b', [1]],
  [".spec['a.b']", [1]],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type=='None')].status", []],
  ['.spec.none.at.all', []],
  ['.spec[', []],
] as const)
  test(`${path} leads to ${JSON.stringify(want)}`, () => {
    assert.deepEqual(find(object, path), want)
  })

for (const [seconds, want] of [
  [5, '5s'],
  [119, '119s'],
  [130, '2m10s'],
  [600, '10m'],
  [3 * 3600, '3h'],
  [3 * 3600 + 240, '3h4m'],
  [50 * 3600, '2d2h'],
  [30 * 86400, '30d'],
  [-5, '<invalid>'],
] as const)
  test(`${seconds} s are ${want} of age`, () => {
    const now = Date.parse('2026-01-02T03:04:05Z')
    assert.equal(age(new Date(now - seconds * 1000).toISOString(), now), want)
  })
