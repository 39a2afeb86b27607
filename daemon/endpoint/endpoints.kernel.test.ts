/** A pod's way on the real kernel; the daemon's memory and its datapath are stand-ins. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { LinuxNode } from '../../test/support/linux-node.ts'
import { isPodDevice } from '../datapath/pod-device.ts'
import { openNetFds } from '../../test/support/open-files.ts'
import { codeOf } from './errors.ts'

function devices(node: LinuxNode): string[] {
  return node.kernel.net
    .links()
    .filter(link => isPodDevice(link.name))
    .map(link => `${link.index} ${link.name}`)
}

/** What of pods is left in the node's namespace. */
function leftOver(node: LinuxNode): string[] {
  const { net } = node.kernel
  return [
    ...devices(node),
    ...net.routes().flatMap(route => (/^(10\.1\.|fd00:1:)/.test(route.dst) ? [route.dst] : [])),
    ...net.neighbours().flatMap(n => (n.permanent && /^(10\.1\.|fd00:1:)/.test(n.address) ? [n.address] : [])),
    ...node.ipam.leases.map(lease => lease.address),
  ]
}

test('ADD, CHECK and DEL on the real kernel leave nothing over', async () => {
  await using node = await LinuxNode.start()
  const result = await node.add('web')
  await node.check('web', result)
  assert.deepEqual(await node.add('web'), result)
  using pod = node.kernel.openNet(node.netns('web'))
  assert.equal(pod.link('eth0')?.mac, result.interfaces[1]?.mac)
  assert.equal(pod.routeTo('10.9.9.9')?.via, '169.254.1.1')
  assert.equal(pod.routeTo('fd99::1')?.via, 'fe80::1')
  assert.equal(node.kernel.net.routeTo('10.1.0.1')?.link, node.kernel.net.link(result.interfaces[0]?.name ?? '')?.index)
  await node.del('web')
  await node.del('web')
  assert.deepEqual(leftOver(node), [])
  assert.equal(pod.link('eth0'), undefined)
})

test('the host side has no link-local address, so that it answers for nobody', async () => {
  await using node = await LinuxNode.start()
  await node.add('web')
  const index = Number(devices(node)[0]?.split(' ')[0])
  await eventually(() => node.kernel.net.link(index)?.carrier === true)
  assert.deepEqual(
    node.kernel.net.addresses().filter(address => address.link === index),
    [],
  )
})

test('IPv6 that the pod namespace has switched off is switched on', async () => {
  await using node = await LinuxNode.start()
  node.makePod('web')
  for (const device of ['all', 'default']) {
    node.kernel.setSysctl(`net.ipv6.conf.${device}.disable_ipv6`, '1', node.netns('web'))
  }
  await node.check('web', await node.add('web'))
})

test('an interface name that is taken is refused, and nothing is left over', async () => {
  await using node = await LinuxNode.start()
  node.makePod('web')
  using pod = node.kernel.openNet(node.netns('web'))
  pod.run([{ op: 'link-add', link: { kind: 'bridge', name: 'eth0' } }])
  await assert.rejects(node.add('web'), error => codeOf(error) === 'INTERFACE_EXISTS')
  assert.deepEqual(leftOver(node), [])
})

test('a pod outlives its daemon with the very device it had, and is repaired', async () => {
  await using node = await LinuxNode.start()
  const result = await node.add('web')
  const before = devices(node)
  const name = result.interfaces[0]?.name ?? ''
  node.kernel.net.run([
    { op: 'link-set', link: name, up: false },
    { op: 'clsact-delete', link: name },
  ])
  await node.restart()
  assert.deepEqual(devices(node), before)
  await node.check('web', result)
})

test('a pod whose namespace ends without a DEL is removed', async () => {
  await using node = await LinuxNode.start()
  await node.add('web')
  node.removePod('web')
  await eventually(() => node.ipam.leases.length === 0)
  assert.deepEqual(leftOver(node), [])
})

test('110 pods at once come and go', async (t: TestContext) => {
  await using node = await LinuxNode.start()
  const names = Array.from({ length: 110 }, (_, i) => `pod-${i}`)
  for (const name of names) node.makePod(name)
  const began = performance.now()
  await Promise.all(names.map(name => node.add(name)))
  const added = performance.now()
  await Promise.all(names.map(name => node.del(name)))
  const deleted = performance.now()
  t.diagnostic(`110 ADDs ${(added - began).toFixed()} ms, 110 DELs ${(deleted - added).toFixed()} ms`)
  assert.deepEqual(leftOver(node), [])
})

test('ADD and DEL leave no file open', async () => {
  await using node = await LinuxNode.start()
  node.makePod('web')
  const round = async (): Promise<void> => {
    await node.add('web')
    await node.del('web')
  }
  await round()
  const before = openNetFds()
  for (let i = 0; i < 20; i++) await round()
  assert.equal(openNetFds(), before)
})
