import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../test/support/random.ts'
import { labelled } from '../state/selectors.ts'
import { covers, parsePrefix } from '../kernel/ip.ts'
import { assign, type Assignment, type Cluster } from './assign.ts'
import type { ClusterNodeRow, NodeNetworkRow } from './rows.ts'
import { networkRow as network, nodeRow as node, poolRow as pool } from './testdata.ts'

function assigned(cluster: Partial<Cluster>): Assignment {
  return assign({ nodes: [], networks: [], pools: [], resting: [], ...cluster })
}
const given = (assignment: Assignment): string[] =>
  assignment.wanted.map(({ node: { name }, podCidrs, pool: from }) => `${name}: ${podCidrs.join(' ')} of ${from}`)

test('each node gets a range of each family of its pool, in the order of names', () => {
  const both = pool('p', [
    ['10.0.0.0/22', 24],
    ['fd00::/62', 64],
  ])
  assert.deepEqual(given(assigned({ nodes: [node('b'), node('a')], pools: [both] })), [
    'a: 10.0.0.0/24 fd00::/64 of p',
    'b: 10.0.1.0/24 fd00:0:0:1::/64 of p',
  ])
})

test('a node that no pool selects gets a NodeNetwork without ranges, which is where its daemon reports', () => {
  assert.deepEqual(given(assigned({ nodes: [node('a')] })), ['a:  of '])
})

test('what a node has it keeps, and is not written again', () => {
  const pools = [pool('p', [['10.0.0.0/22', 24]])]
  const networks = [network('a', ['10.0.3.0/24'])]
  assert.deepEqual(given(assigned({ nodes: [node('a'), node('b')], networks, pools })), ['b: 10.0.0.0/24 of p'])
})

test('a family that a pool got later is given to nodes that have the other', () => {
  const pools = [
    pool('p', [
      ['10.0.0.0/22', 24],
      ['fd00::/62', 64],
    ]),
  ]
  const networks = [network('a', ['10.0.3.0/24'])]
  assert.deepEqual(given(assigned({ nodes: [node('a')], networks, pools })), ['a: 10.0.3.0/24 fd00::/64 of p'])
})

test('a node whose pool is gone keeps its ranges and gets none of another', () => {
  const networks = [network('a', ['10.0.3.0/24'], { pool: 'old' })]
  assert.deepEqual(given(assigned({ nodes: [node('a')], networks, pools: [pool('p', [['fd00::/62', 64]])] })), [])
})

test('nothing is given that a node, a Node.spec or a rest has a part of', () => {
  const nodes = [node('a'), node('kubeadm', { podCidrs: ['10.0.1.0/25'] })]
  const networks = [network('kubeadm', []), network('other', ['10.0.0.128/26'])]
  const pools = [pool('p', [['10.0.0.0/21', 24]])]
  const resting = [network('gone', ['10.0.2.0/23'])]
  assert.deepEqual(given(assigned({ nodes: [nodes[0] as ClusterNodeRow], networks, pools, resting })), [
    'a: 10.0.1.0/24 of p',
  ])
  const all = assigned({ nodes, networks, pools, resting })
  assert.deepEqual(given(all), ['a: 10.0.4.0/24 of p', 'kubeadm: 10.0.5.0/24 of p'])
})

test('a node gets nothing while the NodeNetwork of its name is of another Node, whose ranges nobody else gets', () => {
  const networks = [network('a', ['10.0.0.0/24'], { nodeUid: 'uid-before' })]
  const nodes = [node('a'), node('b')]
  const { wanted, starved } = assigned({ nodes, networks, pools: [pool('p', [['10.0.0.0/23', 24]])] })
  assert.deepEqual([wanted.map(each => [each.node.name, each.podCidrs]), starved], [[['b', ['10.0.1.0/24']]], []])
})

test('a Node that was made anew while its machine ran on gets the ranges of before, for its pods have addresses of them', () => {
  const pools = [pool('p', [['10.0.0.0/22', 24]])]
  const resting = [
    network('a', ['10.0.2.0/24'], { nodeUid: 'before', bootId: 'boot' }),
    network('b', ['10.0.3.0/24'], { nodeUid: 'before', bootId: 'old' }),
  ]
  const nodes = [node('a', { bootId: 'boot' }), node('b', { bootId: 'new' }), node('c')]
  assert.deepEqual(given(assigned({ nodes, pools, resting })), [
    'a: 10.0.2.0/24 of p',
    'b: 10.0.0.0/24 of p',
    'c: 10.0.1.0/24 of p',
  ])
})

test('a node whose NodeNetwork was deleted while its Node stays gets other ranges, also where it had come back before', () => {
  const pools = [pool('p', [['10.0.0.0/22', 24]])]
  const nodes = [node('a', { bootId: 'boot' })]
  const before = network('a', ['10.0.0.0/24'], { nodeUid: 'before', bootId: 'boot' })
  const meant = network('a', ['10.0.0.0/24'], { bootId: 'boot' })
  assert.deepEqual(given(assigned({ nodes, pools, resting: [meant] })), ['a: 10.0.1.0/24 of p'])
  assert.deepEqual(given(assigned({ nodes, pools, resting: [before, meant] })), ['a: 10.0.1.0/24 of p'])
})

test('no range is given in which a node or a service has an address', () => {
  const foreign = ['10.0.0.7/32', '10.0.2.0/23', '10.0.3.0/24'].map(parsePrefix)
  const { wanted, uses } = assigned({ nodes: [node('a')], pools: [pool('p', [['10.0.0.0/22', 24]])], foreign })
  assert.deepEqual([wanted[0]?.podCidrs, uses[0]?.free], [['10.0.1.0/24'], 0])
})

test('a range that somebody else has as a whole is passed at once, however many blocks it has', {
  timeout: 5000,
}, () => {
  const pools = [
    pool('p', [
      ['fd00::/24', 64],
      ['fd01::/24', 64],
    ]),
  ]
  const foreign = ['fd00::/16', 'fd01::/25'].map(parsePrefix)
  const { wanted, uses } = assigned({ nodes: [node('a')], pools, foreign })
  assert.deepEqual([wanted[0]?.podCidrs, uses[0]?.free], [['fd01:80::/64'], 2 ** 39 - 1])
})

test('of pools that select a node the highest, the oldest, the first by name is its pool', () => {
  const nodes = [node('a', { labels: { cloud: 'aws' } })]
  const pools = [
    pool('low', [['10.0.0.0/24', 26]]),
    pool('others', [['10.4.0.0/24', 26]], { priority: 9, nodes: labelled({ cloud: 'gcp' }) }),
    pool('young', [['10.1.0.0/24', 26]], { priority: 1, created: '2026-02-01T00:00:00Z' }),
    pool('old', [['10.2.0.0/24', 26]], { priority: 1, created: '2026-01-01T00:00:00Z' }),
  ]
  assert.deepEqual(given(assigned({ nodes, pools })), ['a: 10.2.0.0/26 of old'])
})

test('a pool whose range another has already is not used, and says with which', () => {
  const pools = [pool('a', [['10.0.0.0/16', 24]]), pool('b', [['10.0.128.0/17', 24]])]
  const { uses } = assigned({ pools })
  assert.deepEqual(
    uses.map(({ pool: { name }, conflict }) => [name, conflict]),
    [
      ['a', undefined],
      ['b', '10.0.128.0/17 overlaps 10.0.0.0/16 of pool a'],
    ],
  )
})

test('a pool tells what it has left and which nodes it had nothing for', () => {
  const nodes = ['a', 'b', 'c'].map(name => node(name))
  const { uses, starved } = assigned({ nodes, pools: [pool('p', [['10.0.0.0/23', 24]])] })
  assert.deepEqual(
    uses.map(({ nodes: n, free }) => [n, free]),
    [[2, 0]],
  )
  assert.deepEqual(
    starved.map(each => [each.node.name, each.pool, each.family]),
    [['c', 'p', 4]],
  )
})

test('two NodeNetworks that have the same range: the younger must go', () => {
  const networks = [
    network('a', ['10.0.0.0/24'], { created: '2026-02-01T00:00:00Z' }),
    network('b', ['10.0.0.0/23'], { created: '2026-01-01T00:00:00Z' }),
    network('c', ['10.0.4.0/24']),
  ]
  assert.deepEqual(
    assigned({ networks }).overlaps.map(({ network: { name }, other, range }) => `${name} has ${range} of ${other}`),
    ['a has 10.0.0.0/24 of b'],
  )
})

test('whatever comes and goes, no two nodes have an address in common', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed)
    let nodes: ClusterNodeRow[] = []
    let networks: NodeNetworkRow[] = []
    const pools = [
      pool(
        'p',
        [
          ['10.0.0.0/20', 22 + random.below(5)],
          ['10.1.0.0/23', 24],
        ],
        { nodes: labelled({ of: 'p' }) },
      ),
      pool(
        'q',
        [
          ['fd00::/60', 64],
          ['10.2.0.0/22', 26],
        ],
        { priority: random.below(2) },
      ),
    ]
    for (let round = 0; round < 12; round++) {
      const added = Array.from({ length: random.below(6) }, (_, n) =>
        node(`n${round}-${n}`, { labels: random.below(2) === 0 ? { of: 'p' } : {} }),
      )
      nodes = [...nodes.filter(() => random.below(5) > 0), ...added]
      networks = networks.filter(({ name }) => nodes.some(each => each.name === name))
      const { wanted } = assigned({ nodes, networks, pools })
      // A leader that dies has written some of it.
      for (const each of wanted.filter(() => random.below(4) > 0))
        networks = [
          ...networks.filter(({ name }) => name !== each.node.name),
          network(each.node.name, each.podCidrs, { pool: each.pool }),
        ]
      const ranges = networks.flatMap(({ podCidrs }) => podCidrs.map(parsePrefix))
      for (const [n, a] of ranges.entries())
        for (const b of ranges.slice(n + 1)) assert.ok(!covers(a, b) && !covers(b, a), `seed ${seed}, round ${round}`)
    }
  }
})
