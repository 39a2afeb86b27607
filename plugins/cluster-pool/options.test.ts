import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix } from '../../daemon/kernel/ip.ts'
import { ConfigError } from '../../daemon/plugin.ts'
import { parseOptions } from './options.ts'

test('an empty section is one pool of all pod ranges of the node', () => {
  const want = [{ name: 'default', exclude: [], cooldownMs: 30_000 }]
  assert.deepEqual(parseOptions({}), want)
  assert.deepEqual(parseOptions(undefined), want)
})

test('pools are read with ranges, exclusions and cooldown', () => {
  const pools = parseOptions({
    pools: [
      {
        name: 'default',
        ranges: ['10.64.0.0/16', 'FD00:64::/48'],
        exclude: ['10.64.0.0/28', '10.64.1.1', 'fd00:64::5'],
      },
      { name: 'gpu', ranges: ['10.65.0.0/16'], cooldownSeconds: 0 },
    ],
  })
  const text = pools.map(
    pool =>
      `${pool.name} ${pool.ranges?.map(formatPrefix).join()} without ${pool.exclude.map(formatPrefix).join()} ${pool.cooldownMs}`,
  )
  assert.deepEqual(text, [
    'default 10.64.0.0/16,fd00:64::/48 without 10.64.0.0/28,10.64.1.1/32,fd00:64::5/128 30000',
    'gpu 10.65.0.0/16 without  0',
  ])
})

const pool = (more: object): object => ({ pools: [{ name: 'default', ranges: ['10.64.0.0/16'], ...more }] })
const two = (first: object, second: object): object => ({
  pools: [
    { name: 'a', ranges: ['10.64.0.0/16'], ...first },
    { name: 'b', ranges: ['10.65.0.0/16'], ...second },
  ],
})
const refusals: readonly (readonly [what: string, raw: unknown, message: string])[] = [
  ['a word', 'x', 'cluster-pool: "x" is not allowed; allowed: a group with the key pools'],
  ['a list', [], 'cluster-pool: [] is not allowed; allowed: a group with the key pools'],
  ['an unknown key', { pool: [] }, 'cluster-pool.pool: unknown key; known here: pools'],
  [
    'an unknown key of a pool',
    pool({ range: [] }),
    'cluster-pool.pools.0.range: unknown key; known here: name, ranges, exclude and cooldownSeconds',
  ],
  ['no pools', { pools: [] }, 'cluster-pool.pools: [] is not allowed; allowed: a list of at least one pool'],
  [
    'a number for a pool',
    { pools: [3] },
    'cluster-pool.pools.0: 3 is not allowed; allowed: a group with the keys name, ranges, exclude and cooldownSeconds',
  ],
  [
    'no name',
    { pools: [{ ranges: ['10.0.0.0/8'] }] },
    'cluster-pool.pools.0.name: an empty value is not allowed; allowed: up to 63 lower-case letters, digits and -, such as default',
  ],
  [
    'a name with a space',
    pool({ name: 'my pool' }),
    'cluster-pool.pools.0.name: "my pool" is not allowed; allowed: up to 63 lower-case letters, digits and -, such as default',
  ],
  [
    'a text for ranges',
    pool({ ranges: '10.0.0.0/8' }),
    'cluster-pool.pools.0.ranges: "10.0.0.0/8" is not allowed; allowed: a list of at least one prefix such as 10.64.0.0/16 or fd00:64::/48',
  ],
  [
    'a number among ranges',
    pool({ ranges: [4] }),
    'cluster-pool.pools.0.ranges.0: 4 is not allowed; allowed: a list of at least one prefix such as 10.64.0.0/16 or fd00:64::/48',
  ],
  [
    'an address for a range',
    pool({ ranges: ['10.0.0.0'] }),
    "cluster-pool.pools.0.ranges.0: '10.0.0.0' is no prefix: /length is missing; allowed: a prefix such as 10.64.0.0/16 or fd00:64::/48",
  ],
  [
    'a length that is too long',
    pool({ ranges: ['10.0.0.0/33'] }),
    "cluster-pool.pools.0.ranges.0: '10.0.0.0/33' is no prefix: the length must be 0 to 32; allowed: a prefix such as 10.64.0.0/16 or fd00:64::/48",
  ],
  [
    'host bits in a range',
    pool({ ranges: ['10.64.0.1/16'] }),
    'cluster-pool.pools.0.ranges.0: 10.64.0.1/16 has host bits set; allowed: 10.64.0.0/16',
  ],
  [
    'a link-local range',
    pool({ ranges: ['fe80::/64'] }),
    'cluster-pool.pools.0.ranges.0: fe80::/64 overlaps fe80::/10, whose addresses no pod can have; allowed: unicast ranges',
  ],
  [
    'a range that holds multicast',
    pool({ ranges: ['0.0.0.0/0'] }),
    'cluster-pool.pools.0.ranges.0: 0.0.0.0/0 overlaps 0.0.0.0/8, whose addresses no pod can have; allowed: unicast ranges',
  ],
  [
    'a mapped range',
    pool({ ranges: ['::ffff:10.0.0.0/104'] }),
    'cluster-pool.pools.0.ranges.0: ::ffff:10.0.0.0/104 overlaps ::ffff:0.0.0.0/96, whose addresses no pod can have; allowed: unicast ranges',
  ],
  [
    'ranges that overlap',
    pool({ ranges: ['10.64.0.0/16', '10.64.5.0/24'] }),
    'cluster-pool.pools.0.ranges.1: 10.64.5.0/24 overlaps 10.64.0.0/16, another range of the pool; allowed: ranges apart',
  ],
  [
    'an exclusion that is nothing',
    pool({ exclude: ['first'] }),
    'cluster-pool.pools.0.exclude.0: "first" is not allowed; allowed: a prefix such as 10.64.0.0/28 or an address such as 10.64.0.1',
  ],
  [
    'an exclusion of another family',
    pool({ exclude: ['fd00::1'] }),
    'cluster-pool.pools.0.exclude.0: fd00::1/128 is in no range of the pool; allowed: parts of 10.64.0.0/16',
  ],
  [
    'an exclusion outside',
    pool({ exclude: ['10.64.0.1', '10.65.0.0/24'] }),
    'cluster-pool.pools.0.exclude.1: 10.65.0.0/24 is in no range of the pool; allowed: parts of 10.64.0.0/16',
  ],
  [
    'host bits in an exclusion',
    pool({ exclude: ['10.64.0.1/28'] }),
    'cluster-pool.pools.0.exclude.0: 10.64.0.1/28 has host bits set; allowed: 10.64.0.0/28',
  ],
  [
    'a cooldown that is no whole number',
    pool({ cooldownSeconds: 1.5 }),
    'cluster-pool.pools.0.cooldownSeconds: 1.5 is not allowed; allowed: a whole number from 0 to 3600',
  ],
  [
    'a cooldown that is too long',
    pool({ cooldownSeconds: 3601 }),
    'cluster-pool.pools.0.cooldownSeconds: 3601 is not allowed; allowed: a whole number from 0 to 3600',
  ],
  [
    'pools that overlap',
    two({}, { ranges: ['10.66.0.0/16', '10.64.0.0/12'] }),
    'cluster-pool.pools.1.ranges.1: 10.64.0.0/12 overlaps 10.66.0.0/16, another range of the pool; allowed: ranges apart',
  ],
  [
    'a pool within another',
    two({}, { ranges: ['10.64.5.0/24'] }),
    "cluster-pool.pools.1.ranges.0: 10.64.5.0/24 overlaps 10.64.0.0/16, a range of pool 'a'; allowed: ranges apart",
  ],
  ['two pools of one name', two({}, { name: 'a' }), "cluster-pool.pools.1.name: another pool is called 'a' already"],
  [
    'several pools, one without ranges',
    two({}, { ranges: undefined }),
    'cluster-pool.pools.1.ranges: only a single pool may do without ranges; allowed: ranges in every pool',
  ],
]
for (const [what, raw, message] of refusals) {
  test(`${what} is refused with the key and what is allowed`, () =>
    assert.throws(
      () => parseOptions(raw),
      (err: unknown) => {
        assert.ok(err instanceof ConfigError)
        assert.equal(err.message, message)
        return true
      },
    ))
}
