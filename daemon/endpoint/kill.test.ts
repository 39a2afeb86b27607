/** Kills between any two requests the daemon makes of the kernel, finer than the steps of steps.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { deviceName } from './key.ts'

const LIVING = deviceName('causeway/living/eth0')

interface Scene {
  readonly name: string
  /** Before the operation that is killed. */
  readonly prepare: (node: MemoryNode) => Promise<unknown>
  readonly act: (node: MemoryNode) => Promise<unknown>
}

const scenes: readonly Scene[] = [
  { name: 'ADD', prepare: async () => {}, act: node => node.add('web') },
  {
    name: 'ADD over what a killed ADD left',
    prepare: async node => {
      node.daemon.kernel.stopAt(3)
      await assert.rejects(node.add('web'))
      await node.restart()
    },
    act: node => node.add('web'),
  },
  { name: 'DEL', prepare: node => node.add('web'), act: node => node.del('web') },
  {
    name: 'three DELs at once',
    prepare: node => Promise.all(['web', 'db', 'app'].map(name => node.add(name))),
    act: node => Promise.all(['web', 'db', 'app'].map(name => node.del(name))),
  },
  {
    name: 'a start that has much to clear up',
    prepare: async node => {
      await Promise.all(['web', 'db', 'app'].map(name => node.add(name)))
      node.daemon.kill()
      node.machine.removeNamespace(netnsPath('web'))
      node.queueDelete('db')
      const outside = node.machine.process().net
      outside.run([
        { op: 'link-set', link: LIVING, up: false },
        { op: 'clsact-delete', link: LIVING },
        { op: 'link-add', link: { kind: 'veth', name: 'cw0123456789ab', peer: { name: 'stray' } } },
      ])
    },
    act: node => node.restart(),
  },
]

for (const { name, prepare, act } of scenes) {
  test(`whichever request of ${name} is the last, the next daemon finds its way`, async () => {
    for (let last = 1; ; last++) {
      await using node = await MemoryNode.start()
      await node.add('living')
      await prepare(node)
      const index = node.machine.host.named(LIVING)?.index
      const reached = await killedAt(node, last, act)
      await node.restart()
      await node.daemon.endpoints.reconcile()
      assert.equal(node.machine.host.named(LIVING)?.index, index, `request ${last}`)
      await node.check('living')
      for (const pod of ['living', 'web', 'db', 'app']) await node.del(pod)
      await eventually(() => node.observe().length === 0)
      if (!reached) break
      assert.ok(last < 100)
    }
  })
}

/** Lets the operation run until its n-th request; false when it makes fewer. */
async function killedAt(node: MemoryNode, last: number, act: (node: MemoryNode) => Promise<unknown>): Promise<boolean> {
  node.killNextAt(last)
  try {
    await act(node)
  } catch {
    // What a killed daemon answers reaches nobody.
  }
  return node.daemon.kernel.stopped
}
