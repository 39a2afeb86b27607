/** The lab's network on AWS, as it follows from names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labLayout, nodeLayouts } from '../layout.ts'
import { gatewayOf, isOfPodSubnet, machineOf, SUBNETS } from './vpc.ts'

test('machines lie in the zones in turn, each with an address of the subnet of first interfaces there', () => {
  const nodes = nodeLayouts(labLayout('x'), { nodes: 3, cloud: 'aws' })
  assert.deepEqual(
    nodes.map(node => [machineOf(node).id, machineOf(node).zone, machineOf(node).subnet, ...node.addresses]),
    [
      ['i-00000000000000001', 'eu-west-1a', 'subnet-nodes-a', '10.72.1.11/24'],
      ['i-00000000000000002', 'eu-west-1b', 'subnet-nodes-b', '10.72.2.12/24'],
      ['i-00000000000000003', 'eu-west-1a', 'subnet-nodes-a', '10.72.1.13/24'],
    ],
  )
})

test('subnets of pods are told from those of machines', () => {
  assert.deepEqual(
    SUBNETS.map(({ id, cidr }) => `${id} ${gatewayOf(cidr)} ${isOfPodSubnet(gatewayOf(cidr))}`),
    [
      'subnet-nodes-a 10.72.1.1 false',
      'subnet-pods-a 10.72.11.1 true',
      'subnet-nodes-b 10.72.2.1 false',
      'subnet-pods-b 10.72.12.1 true',
    ],
  )
  assert.equal(isOfPodSubnet('172.30.0.250'), false)
})
