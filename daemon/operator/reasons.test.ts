import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const WHERE = [
  'daemon/operator/*.ts',
  'daemon/operator/cloud/availability.ts',
  'daemon/cluster-warnings.ts',
  'daemon/cluster/kubernetes/node-report.ts',
]

test('docs/kinds.md has every reason of conditions and Events, and no other', () => {
  const files = globSync(WHERE, { cwd: ROOT }).filter(name => !name.endsWith('.test.ts') && !name.includes('testdata'))
  const source = files.map(name => readFileSync(join(ROOT, name), 'utf8')).join('\n')
  // Words that are neither a kind nor a type of condition.
  const others = [
    'CausewayIsReady',
    'ClusterRole',
    'NetworkUnavailable',
    'NodeSettings',
    'ServiceCIDR',
    'NodeNetwork',
    'SelectsPods',
    'NoSchedule',
  ]
  const inCode = [...source.matchAll(/'([A-Z][a-z]+[A-Z][A-Za-z]+|Unusable|Contradicted|Denied)'/g)].map(
    ([, word = '']) => word,
  )
  const reasons = new Set(
    inCode.filter(word => !others.includes(word) && !/^(In|NotIn|Exists|DoesNotExist)$/.test(word)),
  )
  const page = readFileSync(join(ROOT, 'docs/kinds.md'), 'utf8')
  const rows = page.split('\n').filter(line => line.startsWith('|'))
  const third = rows.flatMap(row => [
    ...(row
      .split('|')
      .slice(2, 4)
      .join('|')
      .matchAll(/`([A-Z][A-Za-z]+)`/g) ?? []),
  ])
  const types = ['AddressesAvailable', 'Ready', 'Exhausted', 'Degraded', 'SelectsPods']
  const inPage = new Set(third.map(([, word = '']) => word).filter(word => !types.includes(word)))
  assert.deepEqual([...inPage].sort(), [...reasons].sort())
})
