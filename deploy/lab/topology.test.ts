/** The wiring as a plan. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labLayout, nodeLayout, podLayout } from './layout.ts'
import { planWiring } from './topology.ts'

const lab = labLayout('x')

test('every pair is made inside the underlay with its peer born in the node', () => {
  const [underlay, ...rest] = planWiring(lab, [nodeLayout(lab, 1), nodeLayout(lab, 2)])
  assert.equal(underlay?.netns, '/run/netns/cw-x-underlay')
  const peers = underlay.requests.flatMap(r =>
    r.op === 'link-add' && r.link.kind === 'veth' ? [`${r.link.name} ${r.link.peer.netns}`] : [],
  )
  assert.deepEqual(peers, [
    'node1 /run/netns/cw-x-node1',
    'node2 /run/netns/cw-x-node2',
    'outside /run/netns/cw-x-outside',
  ])
  assert.deepEqual(
    rest.map(w => w.netns),
    ['/run/netns/cw-x-node1', '/run/netns/cw-x-node2', '/run/netns/cw-x-outside'],
  )
})

test('the outside host has addresses on the underlay and no route to pods', () => {
  const outside = planWiring(lab, [nodeLayout(lab, 1)]).at(-1)
  assert.deepEqual(
    outside?.requests.map(r => ('address' in r ? `${r.op} ${r.address}` : r.op)),
    ['link-set', 'link-set', 'address-add 172.30.0.250/24', 'address-add fd00:30::250/64'],
  )
})

test('nodes and pods of a large lab have distinct addresses and names', () => {
  const nodes = Array.from({ length: 200 }, (_, i) => nodeLayout(lab, i + 1))
  assert.equal(new Set(nodes.flatMap(n => [...n.addresses, ...n.podCidrs])).size, 800)
  const [node] = nodes
  assert.ok(node)
  const pods = Array.from({ length: 200 }, (_, i) => podLayout(lab, node, i).name)
  assert.equal(new Set(pods).size, 200)
  assert.deepEqual([pods[0], pods[25], pods[26], pods[27]], ['node1-a', 'node1-z', 'node1-aa', 'node1-ab'])
})
