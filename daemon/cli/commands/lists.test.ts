import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolStatus } from '../../plugin.ts'
import { poolsTable } from './lists.ts'

const pool = (more: Partial<PoolStatus>): PoolStatus => ({
  pool: 'default',
  family: 4,
  ranges: ['10.1.0.0/24'],
  total: 254,
  used: 2,
  cooling: 1,
  excluded: 0,
  free: 251,
  ...more,
})

test('pools of a cloud show their blocks by state, and of many ranges the first', () => {
  const ranges = Array.from({ length: 9 }, (_, i) => `10.0.0.${i}/32`)
  const text = poolsTable([pool({ ranges, blocks: { allocatable: 9, draining: 1 } }), pool({ pool: 'overlay' })])
  assert.deepEqual(
    text.split('\n').map(line => line.split(/ {2,}/)),
    [
      ['POOL', 'FAMILY', 'RANGES', 'TOTAL', 'USED', 'COOLING', 'EXCLUDED', 'FREE', 'BLOCKS'],
      [
        'default',
        'ipv4',
        '10.0.0.0/32, 10.0.0.1/32, 10.0.0.2/32, 10.0.0.3/32 and 5 more',
        '254',
        '2',
        '1',
        '0',
        '251',
        '9 allocatable, 1 draining',
      ],
      ['overlay', 'ipv4', '10.1.0.0/24', '254', '2', '1', '0', '251'],
      [''],
    ],
  )
})

test('without blocks there is no column for them', () => {
  assert.match(poolsTable([pool({})]), /^POOL .* FREE\n/)
})
