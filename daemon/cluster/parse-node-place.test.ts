import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNodeNetwork } from './join-node.ts'
import { ObjectField } from './object-field.ts'
import { parseNodePlace } from './parse-node-place.ts'

const NETWORK = 'causeway.dev/native-network'
const field = (object: object): ObjectField => new ObjectField(object, () => 'n.yaml:1')

const cases: readonly (readonly [what: string, node: object, place: object])[] = [
  ['nothing', {}, {}],
  ['EC2', { spec: { providerID: 'aws:///eu-central-1a/i-0' } }, { provider: 'aws' }],
  ['Azure', { spec: { providerID: 'azure:///subscriptions/s/resourceGroups/g' } }, { provider: 'azure' }],
  [
    'Google, with the network of its project',
    { spec: { providerID: 'gce://shop/europe-west4-a/n1' } },
    { provider: 'gcp', cloudNetwork: 'gce/shop' },
  ],
  ['Google without a project', { spec: { providerID: 'gce://' } }, { provider: 'gcp' }],
  ['kind, which is no cloud', { spec: { providerID: 'kind://docker/kind/kind-worker' } }, { provider: 'none' }],
  ['a provider that tells nothing of the machine', { spec: { providerID: 'k3s://n1' } }, {}],
  ['an annotation', { metadata: { annotations: { [NETWORK]: 'aws/vpc-1' } } }, { namedNetwork: 'aws/vpc-1' }],
  [
    'a label, which counts before an annotation, also when it is empty',
    { metadata: { labels: { [NETWORK]: '' }, annotations: { [NETWORK]: 'x' } } },
    { namedNetwork: '' },
  ],
]
for (const [what, node, place] of cases)
  test(`a node's place is read from ${what}`, () => assert.deepEqual(parseNodePlace(field(node)), place))

for (const name of ['-x', 'x/', 'a b', 'x'.repeat(129)])
  test(`${name.slice(0, 8)} is no name of a network, and the problem says where it stands and what is`, () => {
    assert.throws(
      () => parseNodePlace(field({ metadata: { annotations: { [NETWORK]: name } } })),
      /^ObjectError.*n\.yaml:1: metadata\.annotations\.causeway\.dev\/native-network: must be at most 128 letters, digits/s,
    )
  })

test('what the daemon of a node says of it is read from its NodeNetwork, in canonical text and each address once', () => {
  const network = {
    metadata: { name: 'n1' },
    spec: { podCidrs: ['10.1.0.0/24'] },
    status: { cloud: 'aws', nativeNetwork: 'x', podAddresses: ['FD00::0:1', '10.9.0.1', '10.9.0.1'] },
  }
  assert.deepEqual(parseNodeNetwork(field(network)), {
    name: 'n1',
    podCidrs: ['10.1.0.0/24'],
    cloud: 'aws',
    nativeNetwork: 'x',
    podAddresses: ['fd00::1', '10.9.0.1'],
  })
})

test('of more addresses than a daemon publishes the rest is left out, and a cloud of a newer build says nothing', () => {
  const podAddresses = Array.from({ length: 300 }, (_, i) => `10.9.${i >> 8}.${i & 255}`)
  const read = parseNodeNetwork(field({ metadata: { name: 'n1' }, status: { cloud: 'oracle', podAddresses } }))
  assert.deepEqual([read.podAddresses?.length, read.cloud], [256, undefined])
})
