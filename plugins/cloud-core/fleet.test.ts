/** What looks at everything bring a node to know. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AWS_BUDGETS } from './memory/aws.ts'
import { Fleet } from './fleet.ts'
import type { SeenNic, SeenSubnet } from './model.ts'
import { NOTHING_PUBLISHED } from './node-state.ts'

const POLICY = {
  families: [4],
  preAllocate: 0,
  min: 0,
  maxAbove: 0,
  maxPods: 10,
  releaseDelayMs: 0,
  firstNic: 0,
  prefixes: false,
} as const
const NODE = { name: 'n1', uid: 'u1', machine: 'i-1', policy: POLICY, subnets: [] }
const NIC: SeenNic = {
  id: 'eni-1',
  mac: '02:00:00:00:00:01',
  subnet: 'subnet-1',
  status: 'attached',
  machine: 'i-1',
  index: 0,
  deletedWithMachine: true,
  forPods: true,
  token: '',
  node: '',
  addresses: ['10.0.0.5'],
  blocks: [],
}
const SUBNET: SeenSubnet = { id: 'subnet-1', zone: 'a', cidrs: ['10.0.0.0/24'], free: 9, forNics: true, reserved: [] }

test('a node that a look found without its subnet is looked for again at once, and told of the subnet when it is known', () => {
  const fleet = new Fleet({ budget: kind => AWS_BUDGETS[kind], sweepMs: 120_000, random: () => 0 }, 0)
  assert.equal(fleet.take(0).sweep, true)
  fleet.put(NODE, NOTHING_PUBLISHED, 10)
  // It began before the node was there.
  fleet.swept({ nics: [], subnets: [] }, 0, 20)
  fleet.limits('n1', { nics: 1, slots: 1, lengths: { 4: [32], 6: [] }, wholeWrites: false }, 30)
  const [look] = fleet.take(30).nodes
  assert.equal(look?.calls[0]?.call.kind, 'observe')
  fleet.replied('n1', look?.calls[0]?.id ?? 0, { nics: [NIC] }, 200)
  const first = fleet.take(200)
  assert.deepEqual(
    first.nodes[0]?.publish?.nics.map(({ id }) => id),
    ['eni-1'],
  )
  assert.equal(first.sweep, true)

  fleet.swept({ nics: [NIC], subnets: [SUBNET] }, 200, 300)
  const second = fleet.take(300)
  assert.deepEqual(
    second.nodes[0]?.publish?.nics.map(({ id }) => id),
    ['eni-1'],
  )
  assert.equal(second.sweep, false)
  // What is known is not told twice.
  fleet.swept({ nics: [NIC], subnets: [{ ...SUBNET, free: 8 }] }, 400, 500)
  assert.deepEqual(fleet.take(500).nodes, [])
})
