import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choose } from './rendezvous.ts'

const pods = Array.from({ length: 3000 }, (_, i) => `default/web-${i}`)
const nodes = ['node1', 'node2', 'node3', 'node4']

test('the same one for a key every time, in whatever order they are named; nobody when there is none', () => {
  for (const pod of pods.slice(0, 100)) assert.equal(choose(pod, nodes), choose(pod, nodes.toReversed()))
  assert.equal(choose('default/web', []), undefined)
})

test('one that goes moves its own keys only, and to all the others; one that comes back gets them again', () => {
  const before = new Map(pods.map(pod => [pod, choose(pod, nodes)]))
  const left = nodes.filter(node => node !== 'node2')
  const moved = pods.filter(pod => choose(pod, left) !== before.get(pod))
  assert.deepEqual(
    moved,
    pods.filter(pod => before.get(pod) === 'node2'),
  )
  assert.deepEqual(new Set(moved.map(pod => choose(pod, left))), new Set(left))
})

test('each has about as many as the others', () => {
  for (const node of nodes) {
    const own = pods.filter(pod => choose(pod, nodes) === node).length
    // 750 expected; six standard deviations are 142.
    assert.ok(Math.abs(own - pods.length / nodes.length) < 142, `${node}: ${own}`)
  }
})
