/** A start that finds pods and no journal that says whose they are. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { encodeHeader, JOURNAL_VERSION } from './journal-format.ts'
import { deviceName } from './key.ts'

const losses: readonly (readonly [what: string, lose: (path: string) => void])[] = [
  ['the journal is gone', path => rmSync(path)],
  [
    'the journal is of another boot',
    path => writeFileSync(path, encodeHeader({ version: JOURNAL_VERSION, bootId: 'another' })),
  ],
  ['the journal holds nothing but noise', path => writeFileSync(path, 'noise')],
]
for (const [what, lose] of losses) {
  test(`living pods go on when ${what}`, async () => {
    await using node = await MemoryNode.start()
    const results = new Map([
      ['web', await node.add('web')],
      ['db', await node.add('db')],
    ])
    const machine = node.machine.toString()
    const before = node.observe()
    node.daemon.kill()
    lose(node.journalPath)
    await node.restart()
    assert.equal(node.machine.toString(), machine)
    assert.deepEqual(node.observe(), before)
    for (const [name, result] of results) {
      await node.check(name, result)
      assert.deepEqual(await node.add(name), result)
    }
    assert.equal(node.daemon.metrics.value('endpoint_repairs_total', { what: 'unjournalled' }), 2)
    await node.restart()
    assert.match(node.daemon.log.lines.join('\n'), /attachments restored kept=2 gone=0/)
    await node.del('web')
    await node.del('db')
    assert.deepEqual(node.observe(), [])
  })
}

test('of a pod that the journal has lost a queued DEL is carried out', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.daemon.kill()
  rmSync(node.journalPath)
  node.queueDelete('web')
  await node.restart()
  await eventually(() => node.observe().length === 0)
})

test('a pod whose namespace has no name goes on, and an ADD makes it anew', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const before = node.observe()
  node.daemon.kill()
  rmSync(node.journalPath)
  node.machine.unlinkNamespace(netnsPath('web'))
  await node.restart()
  assert.deepEqual(node.observe(), before)
  await node.daemon.endpoints.remtu()
  await node.check('web', await node.add('web'))
})

test('what an ADD had not finished is no pod', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const { net } = node.daemon.kernel
  net.run([{ op: 'neighbour-delete', link: deviceName('causeway/web/eth0'), address: 'fd00:1::1' }])
  node.daemon.kill()
  rmSync(node.journalPath)
  await node.restart()
  assert.match(node.daemon.log.lines.join('\n'), /a device nobody answers for is deleted/)
  assert.deepEqual(node.daemon.ipam.leases, [])
  assert.equal(node.machine.host.named(deviceName('causeway/web/eth0')), undefined)
})
