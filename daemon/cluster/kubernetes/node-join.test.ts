import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTables } from '../../state/tables.ts'
import { ObjectField } from '../object-field.ts'
import { networkOfNode, NodeJoin, nodeWithUid } from './node-join.ts'

const field = (value: unknown): ObjectField => new ObjectField(value, () => 'test')
const node = (name: string, provider: string): ObjectField =>
  field({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}` },
    spec: { providerID: provider },
    status: { addresses: [] },
  })
const network = (
  name: string,
  podCidrs: readonly string[],
  ...blocks: readonly [block: string, phase: string][]
): ObjectField =>
  field({
    metadata: { name, uid: `network-${name}` },
    spec: {
      podCidrs,
      cloud: {
        provider: 'aws',
        machine: name,
        nics: [],
        blocks: blocks.map(([block, phase], i) => ({ block, phase, nic: 'eni-1', born: i + 1 })),
      },
    },
  })

/** What node `a` knows of each node's blocks. */
function world() {
  const tables = createTables()
  const join = new NodeJoin(tables, 'a')
  const read = networkOfNode('a')
  const tell = (object: ObjectField): void =>
    join.networks.put(object.at('metadata').at('name').text() ?? '', read(object))
  for (const [name, provider] of [
    ['a', 'aws:///eu-1a/i-a'],
    ['b', 'aws:///eu-1a/i-b'],
    ['c', 'gce://shop/eu-a/c'],
  ] as const)
    join.nodes.put(name, nodeWithUid(node(name, provider)))
  const said = (): string[] =>
    [...tables.nodes.values()].flatMap(({ name, cloudBlocks }) =>
      cloudBlocks ? `${name} ${cloudBlocks.join(' ')}` : [],
    )
  return { tables, tell, said }
}

test('blocks of nodes are known where pods have other addresses than the cloud’s, and of another cloud', () => {
  const { tables, tell, said } = world()
  tell(network('a', [], ['10.0.0.16/28', 'allocatable']))
  tell(network('b', [], ['10.0.1.16/28', 'allocatable'], ['10.0.1.32/28', 'draining'], ['10.0.1.48/28', 'released']))
  tell(network('c', [], ['10.9.0.0/28', 'allocatable']))
  assert.deepEqual(said(), ['c 10.9.0.0/28'])
  const { revision } = tables.nodes
  tell(network('b', [], ['10.0.1.64/28', 'allocatable']))
  assert.equal(tables.nodes.revision, revision)
  tell(network('a', ['10.64.1.0/24'], ['10.0.0.16/28', 'allocatable']))
  assert.deepEqual(said(), ['a 10.0.0.16/28', 'b 10.0.1.64/28', 'c 10.9.0.0/28'])
  tell(network('a', [], ['10.0.0.16/28', 'allocatable']))
  assert.deepEqual(said(), ['c 10.9.0.0/28'])
})
