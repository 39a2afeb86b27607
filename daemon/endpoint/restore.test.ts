import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { BLOCKS, MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { tryLockDirectory } from '../kernel/file-lock.ts'
import { printNamespace } from '../kernel/memory/print.ts'
import type { Lease } from '../plugin.ts'
import { REAP_GROUP } from './device-reaper.ts'
import { codeOf } from './errors.ts'
import { deviceName } from './key.ts'

const WEB = deviceName('causeway/web/eth0')

/** The datapath's map is pruned of what no row names in its own time. */
async function nothingLeft(node: MemoryNode): Promise<void> {
  await eventually(() => node.observe().length === 0)
}

test('a pod outlives the daemon with the very device and addresses it had', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const before = node.machine.toString()
  const rows = node.observe()
  await node.restart()
  assert.equal(node.machine.toString(), before)
  assert.deepEqual(node.observe(), rows)
  await node.check('web')
})

test('a pod that went while no daemon was there gives its addresses back', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.daemon.kill()
  node.machine.removeNamespace(netnsPath('web'))
  await node.restart()
  await nothingLeft(node)
})

test('a pod whose namespace has lost its name, but not its processes, is kept', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.machine.unlinkNamespace(netnsPath('web'))
  const rows = node.observe()
  await node.restart()
  assert.deepEqual(node.observe(), rows)
})

test('a pod whose path leads to another namespace by now is removed', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.machine.unlinkNamespace(netnsPath('web'))
  node.machine.addNamespace(netnsPath('web'))
  await node.restart()
  await nothingLeft(node)
})

test('a deletion that had begun is finished', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.daemon.kernel.net.run([{ op: 'link-set', link: WEB, group: REAP_GROUP }])
  await node.restart()
  await nothingLeft(node)
})

test('devices nobody answers for are deleted, those of others are not', async () => {
  await using node = await MemoryNode.start()
  const make = (name: string, alias: string) =>
    node.daemon.kernel.net.run([
      { op: 'link-add', link: { kind: 'veth', name, alias, peer: { name: `p-${name}`.slice(0, 15) } } },
    ])
  make(deviceName('causeway/gone/eth0'), 'causeway/gone/eth0')
  make('cw0123456789ab', '')
  make('cwffffffffffff', 'somebody else’s')
  make('veth0', '')
  await node.restart()
  const names = node.machine
    .process()
    .net.links()
    .map(link => link.name)
  assert.deepEqual(
    names.filter(name => /^(cw[0-9a-f]{12}|veth0)$/.test(name)),
    ['cwffffffffffff', 'veth0'],
  )
})

test('what was taken from a host side meanwhile is put back', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const before = printNamespace(node.machine.host)
  const { net } = node.daemon.kernel
  net.run([
    { op: 'link-set', link: WEB, up: false },
    { op: 'clsact-delete', link: WEB },
    { op: 'clsact-add', link: WEB, ingressBlock: 7, egressBlock: 8 },
  ])
  await node.restart()
  assert.equal(printNamespace(node.machine.host), before)
  assert.equal(node.daemon.metrics.value('endpoint_repairs_total', { what: 'block' }), 1)
})

test('another boot makes the journal and the queued DELs void', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.queueDelete('web', { bootId: 'another' })
  await node.restart()
  assert.ok(node.observe().length > 0)
  assert.match(
    node.daemon.log.lines.join('\n'),
    /queued DEL replayed key=causeway\/web\/eth0 voidBecause=it is from before the last boot/,
  )
})

const queued: readonly [string, (node: MemoryNode) => Promise<void>, boolean][] = [
  ['is carried out before anything is served', async node => node.queueDelete('web'), false],
  [
    'is void after a newer ADD of its key',
    async node => node.queueDelete('web', { time: (Date.now() - 60_000) * 1000 }),
    true,
  ],
  [
    'is void for another namespace than that of its key now',
    async node => {
      node.queueDelete('web')
      const namespace = netnsPath('web')
      await node.del('web')
      node.machine.removeNamespace(namespace)
      await node.add('web')
    },
    true,
  ],
]
for (const [what, prepare, stays] of queued) {
  test(`a queued DEL ${what}`, async () => {
    await using node = await MemoryNode.start({ endpoints: { now: () => (Date.now() - 1000) * 1000 } })
    await node.add('web')
    await prepare(node)
    await node.restart()
    if (stays) await node.check('web')
    else await nothingLeft(node)
    assert.deepEqual(readdirSync(join(node.directory, 'deletes')), [])
  })
}

test('a queued file that holds no DEL is reported and does not stop the others', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  const directory = join(node.directory, 'deletes')
  mkdirSync(directory, { recursive: true })
  const bad = join(directory, '00000000000000000001-1.json')
  writeFileSync(bad, '{"bootId": 1}')
  node.queueDelete('web')
  await node.restart()
  await nothingLeft(node)
  assert.match(node.daemon.log.lines.join('\n'), /a queued DEL holds no DEL and is dropped/)
  assert.equal(existsSync(bad), false)
})

test('a queued file that the disk does not give stays for the next time', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  // Reading a directory is refused (EISDIR) as a bad disk refuses a file.
  const unreadable = join(node.directory, 'deletes', '00000000000000000001-1.json')
  mkdirSync(unreadable, { recursive: true })
  await node.restart()
  assert.match(node.daemon.log.lines.join('\n'), /queued DELs cannot be read; it will be tried again/)
  assert.ok(existsSync(unreadable))
  rmdirSync(unreadable)
  node.queueDelete('web')
  await node.daemon.endpoints.reconcile()
  assert.deepEqual(node.observe(), [])
})

test('a queued DEL that fails keeps no other from being carried out, and is tried again', async () => {
  let stuck = true
  const keeps = (lease: Lease): boolean => stuck && lease.owner === 'causeway/web/eth0'
  await using node = await MemoryNode.start({ keeps })
  await node.add('web')
  await node.add('db')
  node.daemon.kill()
  node.queueDelete('web')
  node.queueDelete('db')
  await node.restart()
  assert.match(node.daemon.log.lines.join('\n'), /error a queued DEL could not be carried out.*causeway\/web\/eth0/)
  assert.deepEqual([...new Set(node.daemon.ipam.leases.map(lease => lease.owner))], ['causeway/web/eth0'])
  assert.equal(readdirSync(join(node.directory, 'deletes')).length, 1)
  stuck = false
  await node.daemon.endpoints.reconcile()
  assert.deepEqual(node.observe(), [])
  assert.deepEqual(readdirSync(join(node.directory, 'deletes')), [])
})

const resting: readonly [string, (node: MemoryNode) => Promise<void>][] = [
  ['was given back before the restart', node => node.del('web')],
  [
    'a pod had that went while no daemon was there',
    async node => {
      node.daemon.kill()
      node.machine.removeNamespace(netnsPath('web'))
    },
  ],
]
for (const [what, end] of resting) {
  test(`an address that ${what} cools down for its whole time`, async () => {
    await using node = await MemoryNode.start({ coolMs: 60_000 })
    await node.add('web')
    await end(node)
    // Twice: the journal is written anew at each start.
    await node.restart()
    await node.restart()
    assert.deepEqual(
      (await node.add('db')).ips.map(ip => ip.address),
      ['10.1.0.2/32', 'fd00:1::2/128'],
    )
  })
}

test('what an executable that was killed left half-written goes, what one is writing stays', async () => {
  await using node = await MemoryNode.start()
  const directory = join(node.directory, 'deletes')
  mkdirSync(directory, { recursive: true })
  const unfinished = join(directory, '.00000000000000000002-1.tmp')
  writeFileSync(unfinished, '{')
  {
    using _writer = tryLockDirectory(directory)
    await node.restart()
    assert.ok(existsSync(unfinished))
  }
  await node.restart()
  assert.deepEqual(readdirSync(directory), [])
})

test('a DEL that is queued while the daemon runs is carried out by the reconciliation', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.queueDelete('web')
  await node.daemon.endpoints.reconcile()
  assert.deepEqual(node.observe(), [])
})

test('a pod that dies without a DEL is removed as soon as its device vanishes', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  await node.add('db')
  node.machine.removeNamespace(netnsPath('web'))
  await eventually(() => node.daemon.ipam.leases.length === 2)
  assert.ok(node.observe().every(line => !line.includes('web')))
  await node.check('db')
  await node.restart()
  assert.match(node.daemon.log.lines.join('\n'), /attachments restored kept=1 gone=0/)
})

test('a vanished device whose event was missed is found by the reconciliation', async () => {
  await using node = await MemoryNode.start()
  await node.add('web')
  node.machine.host.watchers.clear()
  node.machine.removeNamespace(netnsPath('web'))
  await node.daemon.endpoints.reconcile()
  assert.deepEqual(node.observe(), [])
})

test('living pods follow a changed MTU plan, and what they are is remembered', async () => {
  let mtu = { device: 1500, route: 1450 }
  await using node = await MemoryNode.start({ endpoints: { podMtu: () => mtu } })
  const result = await node.add('web')
  mtu = { device: 9000, route: 8950 }
  await node.daemon.endpoints.remtu()
  assert.equal(node.machine.host.named(WEB)?.sizes.mtu, 9000)
  const pod = printNamespace(node.machine.namespaceAt(netnsPath('web')))
  assert.match(pod, /eth0 veth mtu 9000 /)
  assert.match(pod, /route 0\.0\.0\.0\/0 via 169\.254\.1\.1 dev eth0 mtu 8950/)
  assert.equal(node.daemon.tables.endpoints.get('causeway/web/eth0')?.interface.mtu, 9000)
  await node.check('web', result)
  await node.restart()
  assert.equal(node.daemon.tables.endpoints.get('causeway/web/eth0')?.interface.mtu, 9000)
})

test('the sizes of a pod are shaped by the plugins in turn', async () => {
  const shapers = [
    { shape: (_: object, sizes: object) => ({ ...sizes, gsoMaxSize: 196_608 }) },
    { shape: (_: object, sizes: object) => ({ ...sizes, groMaxSize: 131_072 }) },
  ]
  await using node = await MemoryNode.start({ endpoints: { shapers } })
  await node.add('web')
  const { gsoMaxSize, groMaxSize } = node.machine.namespaceAt(netnsPath('web')).named('eth0')?.sizes ?? {}
  assert.deepEqual([gsoMaxSize, groMaxSize], [196_608, 131_072])
})

test('GC removes what the runtime does not name, of its network only, and goes on past failures', async () => {
  await using node = await MemoryNode.start()
  for (const name of ['a', 'b', 'c']) await node.add(name)
  node.daemon.kernel.failAt(1, 'ENOMEM')
  await assert.rejects(node.gc(['a']), error => {
    assert.equal(codeOf(error), 'GC_INCOMPLETE')
    return error instanceof Error && error.cause instanceof AggregateError
  })
  await node.gc(['a'])
  assert.deepEqual(
    node.daemon.ipam.leases.map(lease => lease.owner),
    ['causeway/a/eth0', 'causeway/a/eth0'],
  )
  const other = { network: 'another', validAttachments: [] }
  await node.daemon.endpoints.gc(other, 1000, new AbortController().signal)
  await node.check('a')
})

test('STATUS names what is waited for, and the pool that is out of addresses with its numbers', async () => {
  let waiting: string[] = []
  await using node = new MemoryNode({ size: 2, endpoints: { waiting: () => waiting } })
  const refused = (text: RegExp) => {
    assert.throws(
      () => node.daemon.endpoints.status(),
      error => codeOf(error) === 'NOT_AVAILABLE' && text.test(String(error)),
    )
  }
  refused(/waiting for pods of before/)
  await node.daemon.endpoints.restore()
  node.daemon.endpoints.status()
  waiting = ['datapath', 'node']
  refused(/waiting for datapath, node/)
  waiting = []
  await node.add('a')
  node.daemon.endpoints.status()
  await node.add('b')
  refused(/pool default is out of IPv4 addresses: 2 of 2 used, 0 cooling, 0 excluded \(10\.1\.0\.0\/24\)/)
})

test('the blocks of an attachment follow the configuration at the next start', async () => {
  const blocks = { ...BLOCKS }
  await using node = await MemoryNode.start({ endpoints: { blocks: () => blocks } })
  await node.add('web')
  blocks.ingress = 90 as never
  await node.restart()
  assert.ok(node.observe().includes(`block 90 51714 dev ${WEB}`))
})
