import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idOf, MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { Machine } from '../kernel/memory/machine.ts'
import { codeOf } from './errors.ts'
import { deviceName } from './key.ts'

test('DEL leaves nothing, as often as it comes', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  await Promise.all([node.del('web'), node.del('web'), node.del('web'), node.del('web')])
  await node.del('web')
  assert.deepEqual(node.observe(), [])
  assert.equal(node.machine.namespaceAt(netnsPath('web')).links.size, 1)
})

test('DEL of a pod nobody knows succeeds', async () => {
  await using node = await MemoryNode.start()
  await node.del('never')
})

test('DEL of a pod whose namespace is gone succeeds and gives its address back', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.machine.removeNamespace(netnsPath('web'))
  await node.del('web')
  assert.deepEqual(node.observe(), [])
})

test('an address is free only when the datapath, the device and the journal have let go', async () => {
  const grace = Promise.withResolvers<void>()
  const machine = new Machine({ gracePeriod: () => grace.promise })
  await using node = await MemoryNode.start({ machine })
  await node.add('web')
  const steps: string[] = []
  node.daemon.fault = step => {
    const { leases } = node.daemon.ipam
    steps.push(
      `${step}: ${node.observe().filter(line => /^(map|link|row)/.test(line)).length} left, ${leases.length} leased`,
    )
  }
  const done = node.del('web')
  grace.resolve()
  await done
  assert.deepEqual(steps, [
    'del.begin: 4 left, 2 leased',
    'del.row: 1 left, 2 leased',
    'del.device: 0 left, 2 leased',
    'del.journal: 0 left, 2 leased',
    'del.address: 0 left, 0 leased',
  ])
  await node.restart()
  assert.deepEqual(node.daemon.log.lines, ['info attachments restored kept=0 gone=0'])
})

test('a DEL the kernel refuses keeps the address, says why, and succeeds the next time', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.daemon.kernel.failAt(1, 'ENOMEM')
  await assert.rejects(node.del('web'), error => {
    assert.equal(codeOf(error), 'KERNEL')
    return (
      error instanceof Error &&
      error.message === `delete device ${deviceName('causeway/web/eth0')} of causeway/web/eth0`
    )
  })
  assert.equal(node.daemon.ipam.leases.length, 2)
  await node.del('web')
  assert.deepEqual(node.observe(), [])
})

test('however often it comes, a DEL waits until the datapath has let go of the pod', async () => {
  let stuck = false
  const settled = async (): Promise<void> => {
    if (stuck) throw new Error('the map takes no deletions')
  }
  await using node = await MemoryNode.start({ endpoints: { settled } })
  await node.add('web')
  stuck = true
  for (let times = 0; times < 2; times++) {
    await assert.rejects(node.del('web'), error => codeOf(error) === 'NOT_SETTLED')
    assert.ok(node.daemon.kernel.net.link(deviceName('causeway/web/eth0')))
    assert.equal(node.daemon.ipam.leases.length, 2)
  }
  stuck = false
  await node.del('web')
  assert.equal(node.daemon.ipam.leases.length, 0)
})

test('a DEL that failed and never comes again is finished by the reconciliation', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.daemon.kernel.failAt(1, 'ENOMEM')
  await assert.rejects(node.del('web'))
  await node.daemon.endpoints.reconcile()
  assert.deepEqual(node.observe(), [])
})

test('a DEL goes on when the daemon is told to stop', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const done = node.del('web')
  await node.daemon.endpoints[Symbol.asyncDispose]()
  await done
  assert.equal(node.daemon.kernel.net.link(deviceName('causeway/web/eth0')), undefined)
})

test('requests that come before the restoration wait for it, and say so when their time is up', async () => {
  await using node = new MemoryNode()
  await assert.rejects(node.daemon.endpoints.del(idOf('web'), 10), error => codeOf(error) === 'STARTING')
  const waiting = node.add('web')
  await node.daemon.endpoints.restore()
  await waiting
})
