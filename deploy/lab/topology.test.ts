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

test('far nodes are plugged into the router, and everyone knows the way to the other subnet', () => {
  const wiring = planWiring(lab, [nodeLayout(lab, 1), nodeLayout(lab, 2, true)])
  const lines = wiring.flatMap(({ netns, requests }) =>
    requests.flatMap(r =>
      r.op === 'link-add' && r.link.kind === 'veth'
        ? [`${netns}: ${r.link.name} in ${r.link.master}`]
        : r.op === 'route-add'
          ? [`${netns}: ${r.route.dst} via ${r.route.via}`]
          : [],
    ),
  )
  assert.deepEqual(
    lines.map(l => l.replace('/run/netns/cw-x-', '')),
    [
      'underlay: node1 in underlay',
      'underlay: outside in underlay',
      'underlay: router in underlay',
      'router: node2 in far',
      'node1: 172.30.1.0/24 via 172.30.0.254',
      'node1: fd00:30:1::/64 via fd00:30::254',
      'node2: 172.30.0.0/24 via 172.30.1.254',
      'node2: fd00:30::/64 via fd00:30:1::254',
      'outside: 172.30.1.0/24 via 172.30.0.254',
      'outside: fd00:30:1::/64 via fd00:30::254',
    ],
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
