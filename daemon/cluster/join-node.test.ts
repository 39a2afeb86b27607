import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinNode, parseNodeNetwork, type NodeNetwork, type NodeObject } from './join-node.ts'
import { ObjectField } from './object-field.ts'

const RANGE = '10.1.0.0/24'
const google: NodeObject = {
  name: 'n1',
  addresses: [],
  podCidrs: [RANGE],
  labels: {},
  provider: 'gcp',
  cloudNetwork: 'gce/shop',
}
const network = (more: Partial<NodeNetwork>): NodeNetwork => ({ name: 'n1', podCidrs: [], ...more })

const cases: readonly (readonly [what: string, node: Partial<NodeObject>, NodeNetwork | undefined, row: string])[] = [
  ['the cloud routes its ranges', {}, undefined, 'gcp gce/shop'],
  ['it has no ranges yet', { podCidrs: [] }, undefined, 'gcp gce/shop'],
  ['its ranges are those of its Node, by the operator too', {}, network({ podCidrs: [RANGE] }), 'gcp gce/shop'],
  ['its ranges are from an IPPool', {}, network({ podCidrs: ['10.2.0.0/24'] }), 'gcp -'],
  ['a pod of it has another address', {}, network({ podAddresses: ['10.9.0.1'] }), 'gcp -'],
  ['its daemon is told that links carry everything', {}, network({ cloud: 'none' }), 'none -'],
  ['its daemon is told of another network', {}, network({ nativeNetwork: 'x', cloud: 'gcp' }), 'gcp x'],
  ['a label says another', { namedNetwork: 'y' }, network({ nativeNetwork: 'x' }), 'gcp y'],
  ['an empty label says none', { namedNetwork: '' }, network({ nativeNetwork: 'x' }), 'gcp -'],
]
for (const [what, node, with_, row] of cases)
  test(`cloud and native network of a node are ${row} where ${what}`, () => {
    const { cloud = '-', nativeNetwork = '-' } = joinNode({ ...google, ...node }, with_)
    assert.equal(`${cloud} ${nativeNetwork}`, row)
  })

test('subnets of network interfaces are known once each', () => {
  const nics = [['10.0.1.0/24'], ['10.0.1.0/24', 'fd00:0::/64'], []].map(subnetCidrs => ({ subnetCidrs }))
  const object = { metadata: { name: 'n1' }, spec: { cloud: { nics } } }
  assert.deepEqual(parseNodeNetwork(new ObjectField(object, () => 'NodeNetwork n1')).cloudSubnets, [
    '10.0.1.0/24',
    'fd00::/64',
  ])
})

test('what only led to the row is not in it, and absent is not undefined', () => {
  const { cloudNetwork: _, provider: _provider, ...plain } = google
  assert.deepEqual(joinNode(plain, undefined), plain)
  assert.deepEqual(joinNode(google, undefined), { ...plain, provider: 'gcp', cloud: 'gcp', nativeNetwork: 'gce/shop' })
})
