import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignIn } from './foreign.ts'
import { judgePool } from './judge-pools.ts'
import { nodeRow, poolRow } from './testdata.ts'

const nobody = { nodes: [], services: [], serviceRanges: [], cloudSubnets: [] }

function judged(foreign: Parameters<typeof foreignIn>[1], conflict?: string): string[] {
  const pool = poolRow('p', [['10.0.0.0/16', 24]])
  const found = foreignIn([pool], foreign).get('p') ?? []
  const { conditions } = judgePool({ pool, nodes: 1, free: 3, conflict }, found)
  return conditions.map(({ type, status, reason, bad }) => `${type} ${status} ${reason}${bad ? ', bad' : ''}`)
}

test('a pool whose ranges are nobody else’s is ready', () => {
  const foreign = {
    nodes: [nodeRow('a', { addresses: ['192.0.2.1', '2001:db8::1'] })],
    services: [{ namespace: 'default', name: 'kubernetes', addresses: ['10.96.0.1'] }],
    serviceRanges: [{ name: 'kubernetes', cidrs: ['10.96.0.0/12'] }],
    cloudSubnets: [{ id: 'subnet-1', cidrs: ['172.31.0.0/20', '2001:db8:1::/64'] }],
  }
  assert.deepEqual(judged(foreign), [
    'Ready True RangesUsable',
    'Exhausted False RangesLeft',
    'Contradicted False RangesFree',
  ])
})

test('a pool that covers an address of a node says so', () => {
  const nodes = [nodeRow('a', { addresses: ['10.0.7.1'] })]
  assert.deepEqual(judged({ ...nobody, nodes })[2], 'Contradicted True CoversNodeAddress, bad')
})

test('a pool that covers, or lies in, what services have says so', () => {
  const services = [{ namespace: 'default', name: 'kubernetes', addresses: ['10.0.7.1'] }]
  const serviceRanges = [{ name: 'kubernetes', cidrs: ['10.0.0.0/8'] }]
  for (const foreign of [
    { ...nobody, services },
    { ...nobody, serviceRanges },
  ])
    assert.deepEqual(judged(foreign)[2], 'Contradicted True CoversServiceAddress, bad')
})

test('a pool that overlaps a subnet of the cloud says so: the cloud may give any address there', () => {
  const cloudSubnets = [{ id: 'subnet-1', cidrs: ['10.0.64.0/20'] }]
  assert.deepEqual(judged({ ...nobody, cloudSubnets })[2], 'Contradicted True CoversCloudSubnet, bad')
})

test('a pool that overlaps another is not ready', () => {
  assert.deepEqual(judged(nobody, '10.0.0.0/16 overlaps 10.0.0.0/8 of pool o')[0], 'Ready False RangesOverlap, bad')
})

test('of many addresses some are named and the others counted', () => {
  const nodes = ['1', '2', '3', '4', '5'].map(n => nodeRow(`n${n}`, { addresses: [`10.0.0.${n}`] }))
  const pool = poolRow('p', [['10.0.0.0/16', 24]])
  const found = foreignIn([pool], { ...nobody, nodes }).get('p') ?? []
  const { conditions } = judgePool({ pool, nodes: 0, free: 1, conflict: undefined }, found)
  assert.match(conditions[2]?.message ?? '', /10\.0\.0\.1, an address of Node n1; .* and 2 more: /)
})

test('a pool that all of a large cluster lies in is thought through while a leader renews its lease', () => {
  const addresses = (n: number): string[] => [`10.0.${n >> 8}.${n & 255}`, `10.1.${n >> 8}.${n & 255}`]
  const services = Array.from({ length: 40_000 }, (_, n) => ({
    namespace: 'd',
    name: `s${n}`,
    addresses: addresses(n),
  }))
  const began = performance.now()
  const found = foreignIn([poolRow('p', [['10.0.0.0/8', 24]])], { ...nobody, services }).get('p')
  assert.equal(found?.length, 80_000)
  // As many lists that are copied for each would take most of a minute.
  assert.ok(performance.now() - began < 5000)
})
