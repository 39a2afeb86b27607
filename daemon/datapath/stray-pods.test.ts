import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../test/support/random.ts'
import { createTables, type NodeRow, type PodRow } from '../state/tables.ts'
import { StrayPods, straysOf } from './stray-pods.ts'

const pod = (name: string, nodeName: string, addresses: string[], hostNetwork = false): PodRow => ({
  namespace: 'default',
  name,
  uid: name,
  nodeName,
  addresses,
  hostNetwork,
  labels: {},
})
const ranges = new Map([
  ['n1', ['10.1.1.0/24']],
  ['n2', ['10.1.2.0/24', 'fd00:1:2::/64']],
])
const print = (strays: StrayPods): string =>
  [...strays.byNode()].map(([node, prefixes]) => `${node}: ${prefixes.join(' ')}`).join(', ')

test('changes of pods inside the ranges, on the host network or on unknown nodes change nothing', () => {
  const { pods } = createTables()
  using strays = new StrayPods(pods)
  assert.equal(strays.update(ranges), false)
  pods.put(pod('a', 'n2', ['10.1.2.7', 'fd00:1:2::7']))
  pods.put(pod('b', 'n2', ['172.30.0.2'], true))
  pods.put(pod('c', 'n9', ['10.9.9.9']))
  assert.deepEqual([strays.update(ranges), print(strays)], [false, ''])
  pods.delete('default/a')
  assert.equal(strays.update(ranges), false)
})

test('a pod outside is told once, follows its addresses and node, and goes', () => {
  const { pods } = createTables()
  using strays = new StrayPods(pods)
  const steps: (readonly [() => void, string])[] = [
    [() => pods.put(pod('a', 'n2', ['10.1.2.7', '10.1.1.7'])), 'true n2: 10.1.1.7/32'],
    [() => pods.put({ ...pod('a', 'n2', ['10.1.2.7', '10.1.1.7']), labels: { x: 'y' } }), 'false n2: 10.1.1.7/32'],
    [() => pods.put(pod('b', 'n2', ['fd00:9::9'])), 'true n2: 10.1.1.7/32 fd00:9::9/128'],
    [() => pods.put(pod('a', 'n1', ['10.1.2.7', '10.1.1.7'])), 'true n1: 10.1.2.7/32, n2: fd00:9::9/128'],
    [() => pods.delete('default/b'), 'true n1: 10.1.2.7/32'],
    [() => pods.put(pod('a', 'n1', ['10.1.1.7'])), 'true '],
  ]
  for (const [change, want] of steps) {
    change()
    assert.equal(`${strays.update(ranges)} ${print(strays)}`, want)
  }
})

test('pods are judged anew when the ranges of their node change', () => {
  const { pods } = createTables()
  using strays = new StrayPods(pods)
  pods.put(pod('a', 'n2', ['10.1.2.7']))
  pods.put(pod('b', 'n1', ['10.1.1.7']))
  strays.update(ranges)
  assert.deepEqual(
    [strays.update(new Map([...ranges, ['n2', ['10.7.0.0/16']]])), print(strays)],
    [true, 'n2: 10.1.2.7/32'],
  )
  assert.deepEqual([strays.update(new Map([['n1', []]])), print(strays)], [true, 'n1: 10.1.1.7/32'])
  assert.deepEqual([strays.update(ranges), print(strays)], [true, ''])
})

test('after random changes it says what one look at everything says', () => {
  const random = new Random()
  const { pods } = createTables()
  using strays = new StrayPods(pods)
  for (let i = 0; i < 500; i++) {
    const some = new Map(['n0', 'n1', 'n2'].map(name => [name, [`10.1.${random.below(4)}.0/24`]] as const))
    for (let n = random.below(4); n > 0; n--) {
      const name = `p${random.below(12)}`
      if (random.below(3) === 0) pods.delete(`default/${name}`)
      else
        pods.put(
          pod(name, `n${random.below(4)}`, [`10.1.${random.below(4)}.${random.below(9)}`], random.below(9) === 0),
        )
    }
    const before = sorted(strays)
    const changed = strays.update(some)
    using fresh = new StrayPods(pods)
    fresh.update(some)
    assert.deepEqual(sorted(strays), sorted(fresh), random.replay)
    if (sorted(strays) !== before) assert.ok(changed, random.replay)
  }
})

function sorted(strays: StrayPods): string {
  return [...strays.byNode()]
    .flatMap(([node, prefixes]) => prefixes.map(p => `${node} ${p}`))
    .sort()
    .join(' ')
}

test("pods in the ranges of another CNI are that one's, wherever they are", () => {
  const { pods } = createTables()
  using strays = new StrayPods(pods, ['10.244.0.0/16'])
  pods.put(pod('old', 'n2', ['10.244.2.7', '10.9.9.9']))
  assert.deepEqual([strays.update(ranges), print(strays)], [true, 'n2: 10.9.9.9/32'])
})

const told = (name: string, podAddresses: string[], addresses: string[] = []): NodeRow => ({
  name,
  addresses,
  podCidrs: [],
  labels: {},
  podAddresses,
})
const published: readonly (readonly [what: string, nodes: NodeRow[], seen: Map<string, string[]>, strays: string])[] = [
  [
    'those of other nodes, not of this one',
    [told('n1', ['10.9.0.1']), told('n2', ['10.9.0.2'])],
    new Map(),
    'n2 10.9.0.2/32',
  ],
  [
    'besides those that are seen',
    [told('n2', ['10.9.0.2', '10.9.0.3'])],
    new Map([['n2', ['10.9.0.3/32']]]),
    'n2 10.9.0.3/32 10.9.0.2/32',
  ],
  [
    'of a claim by two the first by name',
    [told('n3', ['10.9.0.2']), told('n2', ['10.9.0.2'])],
    new Map(),
    'n2 10.9.0.2/32',
  ],
  [
    'not what lies in ranges of this node or of its own',
    [told('n2', ['10.1.1.9', '10.1.2.9', 'fd00:9::1'])],
    new Map(),
    'n2 fd00:9::1/128',
  ],
  ['no address of a node', [told('n2', ['172.30.0.3']), told('n3', [], ['172.30.0.3'])], new Map(), ''],
]
for (const [what, nodes, seen, strays] of published)
  test(`of addresses that daemons publish it takes ${what}`, () => {
    const found = straysOf(seen, ranges, nodes, 'n1')
    assert.equal([...found].map(([node, prefixes]) => `${node} ${prefixes.join(' ')}`).join(', '), strays)
  })
