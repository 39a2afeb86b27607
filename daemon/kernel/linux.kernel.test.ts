/** The port `Kernel` on the kernel of this machine. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import test from 'node:test'
import { LinuxKernel } from './linux.ts'
import { openNewNetns } from './netns/create.ts'
import { deviceSysctl } from './sysctl-name.ts'

test('boot id and release are those of the running kernel', () => {
  using kernel = new LinuxKernel()
  assert.match(kernel.bootId, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
  assert.equal(kernel.release, release())
})

test('the kernel looks at the namespace it was made in, and opens others', () => {
  using kernel = new LinuxKernel()
  using ns = openNewNetns()
  using net = kernel.openNet(ns.path)
  net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'only-there' } }])
  assert.equal(kernel.net.link('only-there'), undefined)
  assert.equal(net.link('only-there')?.kind, 'bridge')
  assert.deepEqual(kernel.netnsId(ns.path)?.dev, kernel.netnsId('/proc/self/ns/net')?.dev)
})

test('a namespace that is none cannot be opened', () => {
  using kernel = new LinuxKernel()
  assert.throws(() => kernel.openNet('/run/netns/none'), { code: 'ENOENT' })
  assert.throws(() => kernel.openNet('/proc/self/ns/pid'), { code: 'NOT_A_NETNS' })
  assert.equal(kernel.netnsId('/run/netns/none'), undefined)
})

test('a setting is read and set in the namespace named, and only there', () => {
  using kernel = new LinuxKernel()
  using ns = openNewNetns()
  const mine = kernel.sysctl('net.ipv4.ip_forward')
  kernel.setSysctl('net.ipv4.ip_forward', '0', ns.path)
  assert.equal(kernel.sysctl('net.ipv4.ip_forward', ns.path), '0')
  kernel.setSysctl('net.ipv4.ip_forward', '1', ns.path)
  assert.equal(kernel.sysctl('net/ipv4/ip_forward', ns.path), '1')
  assert.equal(kernel.sysctl('net.ipv4.ip_forward'), mine)
})

test("a device's dot is a slash in a dotted name and itself in a slashed one", () => {
  using kernel = new LinuxKernel()
  using ns = openNewNetns()
  using net = kernel.openNet(ns.path)
  net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'br0.7' } }])
  kernel.setSysctl('net.ipv4.conf.br0/7.rp_filter', '2', ns.path)
  assert.equal(kernel.sysctl('net/ipv4/conf/br0.7/rp_filter', ns.path), '2')
  assert.equal(kernel.sysctl(deviceSysctl(4, 'br0.7', 'rp_filter'), ns.path), '2')
  assert.equal(kernel.sysctl('net.ipv4.conf.br0.7.rp_filter', ns.path), undefined)
})

test('settings outside net/ are the machine’s', () => {
  using kernel = new LinuxKernel()
  assert.equal(kernel.sysctl('kernel.ostype'), readFileSync('/proc/sys/kernel/ostype', 'utf8').trim())
})

test('an absent setting is undefined and cannot be set', () => {
  using kernel = new LinuxKernel()
  using ns = openNewNetns()
  assert.equal(kernel.sysctl('net.ipv4.no_such_thing', ns.path), undefined)
  assert.equal(kernel.sysctl('net.ipv4.conf.none.forwarding', ns.path), undefined)
  assert.throws(() => kernel.setSysctl('net.ipv4.no_such_thing', '1', ns.path), { code: 'ENOENT' })
})

test('a setting of a namespace that does not exist is an error, not absent', () => {
  using kernel = new LinuxKernel()
  assert.throws(() => kernel.sysctl('net.ipv4.ip_forward', '/run/netns/none'), { code: 'ENOENT' })
})

test('a value the kernel refuses is an error that names the setting', () => {
  using kernel = new LinuxKernel()
  using ns = openNewNetns()
  assert.throws(() => kernel.setSysctl('net.ipv4.ip_forward', 'x', ns.path), {
    code: 'EINVAL',
    attempt: "set sysctl net.ipv4.ip_forward to 'x'",
  })
})

for (const name of ['', '..', 'net..ipv4', 'net/../../etc/passwd', '/etc/passwd', 'net.ipv4.']) {
  test(`'${name}' is no name of a setting`, () => {
    using kernel = new LinuxKernel()
    assert.throws(() => kernel.sysctl(name), RangeError)
  })
}
