import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idOf, MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import { printNamespace } from '../kernel/memory/print.ts'
import { deviceSysctl } from '../kernel/sysctl-name.ts'
import { codeOf } from './errors.ts'
import { deviceName } from './key.ts'

const WEB = deviceName('causeway/web/eth0')

test('ADD gives a pod its interface, and all that reaches it on the node', async () => {
  await using node = await MemoryNode.start()
  const result = await node.add('web')
  assert.equal(
    printNamespace(node.machine.namespaceAt(netnsPath('web'))),
    `  address 10.1.0.1/32 dev eth0
  address 127.0.0.1/8 dev lo
  address ::1/128 dev lo
  address fd00:1::1/128 dev eth0
  link eth0 veth mtu 1500 up
  link lo  mtu 65536 up
  route 0.0.0.0/0 via 169.254.1.1 dev eth0 mtu 1450 proto 202
  route 169.254.1.1/32 dev eth0 proto 202
  route ::/0 via fe80::1 dev eth0 mtu 1450 proto 202
`,
  )
  const podMac = result.interfaces[1]?.mac
  assert.deepEqual(node.observe(), [
    `block 51713 51714 dev ${WEB}`,
    'lease 10.1.0.1 causeway/web/eth0',
    'lease fd00:1::1 causeway/web/eth0',
    `link ${WEB} causeway/web/eth0`,
    'map 10.1.0.1 causeway/web/eth0',
    'map fd00:1::1 causeway/web/eth0',
    `neighbour 10.1.0.1 ${podMac} dev ${WEB}`,
    `neighbour fd00:1::1 ${podMac} dev ${WEB}`,
    `route 10.1.0.1/32 dev ${WEB}`,
    `route fd00:1::1/128 dev ${WEB}`,
    'row causeway/web/eth0',
  ])
})

test('ADD answers in the form of CNI 1.1.0', async () => {
  await using node = await MemoryNode.start()
  const { interfaces, ...rest } = await node.add('web')
  const [host, pod] = interfaces
  assert.deepEqual({ ...host, mac: '' }, { name: WEB, mac: '', mtu: 1500 })
  assert.deepEqual({ ...pod, mac: '' }, { name: 'eth0', mac: '', mtu: 1500, sandbox: '/run/netns/web' })
  assert.notEqual(host?.mac, pod?.mac)
  assert.deepEqual(rest, {
    ips: [
      { address: '10.1.0.1/32', gateway: '169.254.1.1', interface: 1 },
      { address: 'fd00:1::1/128', gateway: 'fe80::1', interface: 1 },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '169.254.1.1', mtu: 1450 },
      { dst: '::/0', gw: 'fe80::1', mtu: 1450 },
    ],
    dns: {},
  })
})

test('the same ADD again, after its answer was lost, is given the same answer and changes nothing', async () => {
  await using node = await MemoryNode.start()
  const first = await node.add('web')
  const before = node.machine.toString()
  assert.deepEqual(await node.add('web'), first)
  assert.equal(node.machine.toString(), before)
})

test('an ADD for a pod whose interface was damaged makes it anew', async () => {
  await using node = await MemoryNode.start()
  const first = await node.add('web')
  using pod = node.daemon.kernel.openNet(netnsPath('web'))
  pod.run([{ op: 'link-set', link: 'eth0', up: false }])
  const second = await node.add('web')
  assert.equal(second.interfaces[0]?.name, first.interfaces[0]?.name)
  await node.check('web', second)
})

test('what the runtime wishes for is honoured', async () => {
  await using node = await MemoryNode.start()
  const result = await node.add('web', { ips: ['10.1.0.40/24', 'FD00:1:0::7'], mac: '02:AA:00:00:00:01' })
  assert.deepEqual(
    result.ips.map(ip => ip.address),
    ['10.1.0.40/32', 'fd00:1::7/128'],
  )
  assert.equal(result.interfaces[1]?.mac, '02:aa:00:00:00:01')
})

for (const ifName of ['eth0', 'eth0.1']) {
  test(`IPv6 is switched on for ${ifName} where the pod namespace has it off`, async () => {
    await using node = await MemoryNode.start()
    node.machine.addNamespace(netnsPath('web'))
    const { kernel, endpoints } = node.daemon
    kernel.setSysctl('net.ipv6.conf.all.disable_ipv6', '1', netnsPath('web'))
    const pod = { namespace: 'default', name: 'web', uid: 'uid-web' }
    const request = { ...idOf('web'), ifName, netns: netnsPath('web'), pod, ips: [] }
    await endpoints.add(request, 5000, new AbortController().signal)
    assert.equal(kernel.sysctl(deviceSysctl(6, ifName, 'disable_ipv6'), netnsPath('web')), '0')
  })
}

test('many ADDs at once each get their own addresses', async () => {
  await using node = await MemoryNode.start({ size: 120 })
  const names = Array.from({ length: 110 }, (_, i) => `pod-${i}`)
  const results = await Promise.all(names.map(name => node.add(name)))
  assert.equal(new Set(results.flatMap(result => result.ips.map(ip => ip.address))).size, 220)
  await Promise.all(names.map(name => node.del(name)))
  assert.deepEqual(node.observe(), [])
})

const refusals: readonly [string, string, (node: MemoryNode) => Promise<unknown>][] = [
  ['a namespace that does not exist', 'BAD_NETNS', node => addIn(node, '/run/netns/absent')],
  ["the node's own namespace", 'BAD_NETNS', node => addIn(node, '/proc/self/ns/net')],
  ['an interface name that is taken', 'INTERFACE_EXISTS', addWhereTaken],
  ['two wishes of one family', 'BAD_REQUEST', node => node.add('web', { ips: ['10.1.0.1', '10.1.0.2'] })],
  ['a wish that is no address', 'BAD_REQUEST', node => node.add('web', { ips: ['10.1.0'] })],
  ['an address another pod holds', 'ADDRESS_IN_USE', node => addTwice(node, '10.1.0.9')],
]
for (const [what, code, run] of refusals) {
  test(`ADD with ${what} is refused as ${code} and leaves nothing`, async () => {
    await using node = await MemoryNode.start()
    await assert.rejects(run(node), error => codeOf(error) === code)
    await node.del('other')
    assert.deepEqual(node.observe(), [])
  })
}

test('a family that is not configured cannot be wished for', async () => {
  await using node = await MemoryNode.start({ endpoints: { families: [4] } })
  await assert.rejects(node.add('web', { ips: ['fd00:1::7'] }), /runtimeConfig.ips: IPv6 is not configured/)
})

test('an ADD that finds no address waits for one', async () => {
  await using node = await MemoryNode.start({ size: 1 })
  await node.add('first')
  const second = node.add('second')
  await node.del('first')
  assert.equal((await second).ips[0]?.address, '10.1.0.1/32')
})

test('an ADD that finds no address before its deadline says so, with what the pool says', async () => {
  await using node = await MemoryNode.start({ size: 1 })
  await node.add('first')
  await assert.rejects(node.add('second', { deadlineMs: 20 }), error => {
    assert.equal(codeOf(error), 'NO_ADDRESS')
    return error instanceof Error && /all 1 IPv4 addresses are in use/.test(String(error.cause))
  })
})

test('a DEL ends the ADD of its key that still waits for an address', async () => {
  await using node = await MemoryNode.start({ size: 1 })
  await node.add('first')
  const second = assert.rejects(node.add('second'), error => codeOf(error) === 'CANCELLED')
  await node.del('second')
  await second
})

test('an ADD whose caller hung up is undone', async () => {
  await using node = await MemoryNode.start()
  const caller = new AbortController()
  node.daemon.fault = step => {
    if (step === 'add.row') caller.abort(new Error('hung up'))
  }
  node.machine.addNamespace(netnsPath('web'))
  const request = { ...idOf('web'), netns: netnsPath('web'), pod: { namespace: '', name: '', uid: '' }, ips: [] }
  await assert.rejects(node.daemon.endpoints.add(request, 1000, caller.signal))
  assert.deepEqual(node.observe(), [])
})

test('whichever request the kernel refuses, a failed ADD leaves nothing and the next one succeeds', async () => {
  await using node = await MemoryNode.start()
  const { kernel } = node.daemon
  const before = kernel.requests
  await node.add('web')
  const requests = kernel.requests - before
  await node.del('web')
  assert.ok(requests > 10)
  for (let n = 1; n <= requests; n++) {
    kernel.failAt(n, 'ENOMEM')
    await assert.rejects(node.add('web'), error => codeOf(error) === 'KERNEL', `request ${n}`)
    assert.deepEqual(node.observe(), [], `request ${n}`)
  }
  await node.check('web', await node.add('web'))
})

function addIn(node: MemoryNode, netns: string): Promise<unknown> {
  const pod = { namespace: '', name: '', uid: '' }
  return node.daemon.endpoints.add({ ...idOf('web'), netns, pod, ips: [] }, 1000, new AbortController().signal)
}
async function addWhereTaken(node: MemoryNode): Promise<unknown> {
  node.machine.addNamespace(netnsPath('web'))
  using pod = node.daemon.kernel.openNet(netnsPath('web'))
  pod.run([{ op: 'link-add', link: { kind: 'bridge', name: 'eth0' } }])
  return await node.add('web')
}
async function addTwice(node: MemoryNode, address: string): Promise<unknown> {
  await node.add('other', { ips: [address] })
  return await node.add('web', { ips: [address] })
}
