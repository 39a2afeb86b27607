import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryNode, netnsPath } from '../../test/support/memory-node.ts'
import type { NetRequest } from '../kernel/kernel.ts'
import { expectationOf } from './check.ts'
import { AttachmentDiffers, type DifferenceKind } from './errors.ts'
import { deviceName } from './key.ts'

const WEB = deviceName('causeway/web/eth0')

function inPod(node: MemoryNode, ...requests: NetRequest[]): void {
  using pod = node.daemon.kernel.openNet(netnsPath('web'))
  pod.run(requests)
}
function onHost(node: MemoryNode, ...requests: NetRequest[]): void {
  node.daemon.kernel.net.run(requests)
}

const cases: readonly [string, DifferenceKind, RegExp, (node: MemoryNode) => void][] = [
  ['the pod was never added', 'attachment', /knows no such pod/, node => void node.machine],
  [
    'the namespace is gone',
    'namespace',
    /is no network namespace/,
    node => node.machine.unlinkNamespace(netnsPath('web')),
  ],
  [
    'another namespace is at the path',
    'namespace',
    /is not the namespace of ADD/,
    node => {
      node.machine.unlinkNamespace(netnsPath('web'))
      node.machine.addNamespace(netnsPath('web'))
    },
  ],
  [
    'the interface was renamed',
    'interface',
    /eth0 is gone/,
    node => inPod(node, { op: 'link-set', link: 'eth0', rename: 'net0' }),
  ],
  [
    'the interface is down',
    'interface',
    /eth0 is down/,
    node => inPod(node, { op: 'link-set', link: 'eth0', up: false }),
  ],
  [
    'the MAC was changed',
    'interface',
    /eth0 has MAC 02:00:00:00:00:09/,
    node => inPod(node, { op: 'link-set', link: 'eth0', mac: '02:00:00:00:00:09' }),
  ],
  [
    'the MTU was changed',
    'interface',
    /eth0 has MTU 1400, not 1500/,
    node => inPod(node, { op: 'link-set', link: 'eth0', mtu: 1400 }),
  ],
  [
    'an address is gone',
    'address',
    /eth0 lacks the address fd00:1::1\/128/,
    node => inPod(node, { op: 'address-delete', link: 'eth0', address: 'fd00:1::1/128' }),
  ],
  [
    'a route is gone',
    'route',
    /eth0 lacks the route 0\.0\.0\.0\/0 via 169\.254\.1\.1/,
    node => inPod(node, { op: 'route-delete', route: { dst: '0.0.0.0/0' } }),
  ],
  ['the host side is down', 'host-side', /is down/, node => onHost(node, { op: 'link-set', link: WEB, up: false })],
  [
    'a neighbour is gone',
    'host-side',
    /lacks its routes or neighbours/,
    node => onHost(node, { op: 'neighbour-delete', link: WEB, address: '10.1.0.1' }),
  ],
  [
    'the device left the blocks',
    'block',
    /is not bound to the filter blocks/,
    node => onHost(node, { op: 'clsact-delete', link: WEB }),
  ],
]
for (const [what, kind, text, change] of cases) {
  test(`CHECK says when ${what}`, async () => {
    await using node = await MemoryNode.start()
    const result = kind === 'attachment' ? undefined : await node.add('web')
    change(node)
    await assert.rejects(node.check('web', result), error => {
      assert.ok(error instanceof AttachmentDiffers, String(error))
      assert.equal(error.differences[0]?.what, kind)
      return text.test(error.message)
    })
  })
}

test('CHECK says when the datapath lacks the pod', async () => {
  let holds = true
  await using node = await MemoryNode.start({ endpoints: { inDatapath: () => holds } })
  await node.add('web')
  await node.check('web')
  holds = false
  await assert.rejects(node.check('web'), /the datapath has no entry/)
})

test('CHECK accepts what a chained plugin made of the interface, and refuses a result that is not ours', async () => {
  await using node = await MemoryNode.start()
  const result = await node.add('web')
  inPod(node, { op: 'link-set', link: 'eth0', mtu: 1400 })
  const [host, pod] = result.interfaces
  const tuned = { ...result, interfaces: [host, { ...pod, mtu: 1400 }] }
  await node.check('web', tuned)
  inPod(node, { op: 'link-set', link: 'eth0', mtu: 1500 })
  await assert.rejects(node.check('web', tuned), /eth0 has MTU 1500, not 1400/)
  await assert.rejects(node.check('web', {}), /prevResult has no interface eth0 in a sandbox/)
  await assert.rejects(
    node.check('web', { ...result, ips: result.ips.slice(1) }),
    /prevResult lacks the address 10\.1\.0\.1/,
  )
})

test('of a previous result only our interface counts', () => {
  const interfaces = [
    { name: 'eth0', mac: '02:00:00:00:00:01' },
    { name: 'eth0', mac: '02:AA:00:00:00:02', mtu: 1400, sandbox: '/run/netns/web' },
  ]
  const ips = [
    { address: '10.1.0.9/32', interface: 1 },
    { address: '10.9.0.9/24', interface: 0 },
    { address: 7, interface: 1 },
  ]
  assert.deepEqual(expectationOf({ interfaces, ips }, 'eth0'), {
    addresses: ['10.1.0.9'],
    mac: '02:aa:00:00:00:02',
    mtu: 1400,
  })
  assert.equal(expectationOf(undefined, 'eth0'), undefined)
  for (const another of [
    null,
    7,
    {},
    { interfaces: 'x' },
    { interfaces: [null] },
    { interfaces: interfaces.slice(0, 1) },
  ]) {
    assert.equal(expectationOf(another, 'eth0'), 'another')
  }
})
