import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudNode } from '../../test/support/cloud-node.ts'
import { awsEniWith } from './plugin.ts'

test('a pod gets an address of a block on an interface of this node', async () => {
  await using node = await CloudNode.start(awsEniWith)
  await node.says({ blocks: ['10.0.0.16/28'] })
  assert.equal((await node.take('a')).address, '10.0.0.16')
  assert.equal(node.demand, '1 0 0')
})
