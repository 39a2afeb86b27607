import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planWires, wireAddress, WIRES } from './wires.ts'

const places = {
  a: 'a',
  b: 'b',
  far: 'far',
  floor: 'floor',
  bridge: 'bridge',
  routed: 'routed',
  nft: 'nft',
  iptables: 'iptables',
  across: ['near', 'between', 'distant'],
} as const

test('no two ends of any wire have the same address', () => {
  const all = WIRES.flatMap(w => [1, 2, 3, 4].flatMap(end => [wireAddress(w, end, 4), wireAddress(w, end, 6)]))
  assert.equal(new Set(all).size, all.length)
})

test('both ends are in one network unless something routes between them', () => {
  const network = (wire: (typeof WIRES)[number], end: number): string =>
    wireAddress(wire, end, 4).split('.').slice(0, 3).join('.')
  const split = WIRES.filter(wire => network(wire, 1) !== network(wire, 2))
  assert.deepEqual(split, ['routed', 'across', 'nft', 'iptables'])
  for (const wire of split) assert.equal(network(wire, 1), network(wire, 3))
})

test('the plan gives every end its addresses, in the namespace of its pod', () => {
  const steps = planWires(places)
  for (const wire of WIRES)
    for (const [end, pod] of [
      [1, 'a'],
      [2, wire === 'across' ? 'far' : 'b'],
    ] as const) {
      const own = steps.filter(s => s.netns === pod).flatMap(s => s.requests)
      const added = own.flatMap(r => (r.op === 'address-add' && r.link === `${wire}0` ? [r.address] : []))
      assert.deepEqual(added, [`${wireAddress(wire, end, 4)}/24`, `${wireAddress(wire, end, 6)}/64`])
    }
})
