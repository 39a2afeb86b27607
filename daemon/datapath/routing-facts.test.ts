import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CloudFinding } from '../cloud.ts'
import type { NodeRow } from '../state/tables.ts'
import type { Way } from './paths.ts'
import { cloudFact, routingFact, routingProblems } from './routing-facts.ts'

const way = (name: string, kind: 'native' | 'overlay', why: string): Way => {
  const hop = kind === 'native' ? ({ kind, why } as const) : ({ kind, why, tunnel: '192.0.2.2' } as const)
  return {
    node: { name, addresses: [] },
    hops: { 4: hop, 6: undefined },
    prefixes: [{ prefix: '10.1.0.0/24', family: 4 }],
    addresses: [],
  }
}
const own = (more: Partial<NodeRow> = {}): NodeRow => ({ name: 'n1', addresses: [], podCidrs: [], labels: {}, ...more })
const on = (cloud: CloudFinding['cloud'], by: CloudFinding['by'] = 'DMI'): CloudFinding => ({ cloud, by })

test('routing says the ways to all nodes, by kind and reason, and counts where there are many', () => {
  const many = Array.from({ length: 8 }, (_, i) => way(`m${i}`, 'overlay', 'other link'))
  assert.equal(routingFact('auto', []), 'auto')
  assert.equal(
    routingFact('auto', [way('n2', 'native', 'same link'), way('n3', 'native', 'same link'), ...many]),
    'auto: native to n2, n3 (same link); overlay to m0, m1, m2, m3, m4 and 3 more (other link)',
  )
})

test('the cloud says how it was found and what follows from it', () => {
  assert.equal(
    cloudFact(on('none', 'no sign of one'), own()),
    'none (no sign of one): nodes on one link need no overlay',
  )
  assert.equal(cloudFact(on('aws'), own()), 'aws (DMI): links carry no addresses of pods, which take the overlay')
  assert.equal(
    cloudFact(on('aws'), own({ cloudSubnets: ['10.0.0.0/24'] })),
    'aws (DMI): pods have addresses of its network interfaces, which its network carries',
  )
  assert.equal(
    cloudFact(on('gcp', 'Node.spec.providerID'), own({ nativeNetwork: 'gce/shop' })),
    'gcp (Node.spec.providerID): pods are routed in network gce/shop',
  )
})

const cases: readonly (readonly [
  what: string,
  mode: 'auto' | 'native' | 'overlay',
  cloud: CloudFinding['cloud'],
  known: string | undefined,
  said: RegExp | undefined,
])[] = [
  [
    'native in a cloud that knows no pods',
    'native',
    'aws',
    undefined,
    /aws drops .* Set routing\.mode to auto; or, where .*source\/destination checks are off, give/,
  ],
  ['native in Azure', 'native', 'azure', undefined, /IP forwarding of their interfaces/],
  ['native in a cloud whose network routes the pods', 'native', 'gcp', 'gce/shop', undefined],
  ['auto in a cloud', 'auto', 'aws', undefined, undefined],
  ['native on links of its own', 'native', 'none', undefined, undefined],
]
for (const [what, mode, cloud, known, said] of cases)
  test(`routing.mode ${what} ${said === undefined ? 'is no problem' : 'is one, with the way out'}`, () => {
    const row = own(known === undefined ? {} : { nativeNetwork: known })
    const problems = routingProblems({ mode, nativeNetwork: '' }, on(cloud), row)
    if (said === undefined) assert.deepEqual(problems, [])
    else assert.match(problems.join('\n'), said)
  })

test('a configured network that others do not know this node by is a problem; before the own Node is known nothing is', () => {
  const problems = (row: NodeRow | undefined): string[] =>
    routingProblems({ mode: 'auto', nativeNetwork: 'x' }, on('none'), row)
  assert.match(
    problems(own()).join(),
    /^routing\.nativeNetwork is x, but .* is none: causeway\.dev\/native-network at the Node/,
  )
  assert.match(problems(own({ nativeNetwork: 'y' })).join(), / is y: /)
  assert.deepEqual([problems(own({ nativeNetwork: 'x' })), problems(undefined)], [[], []])
})
