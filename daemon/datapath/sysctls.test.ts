import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Machine } from '../kernel/memory/machine.ts'
import { deviceSysctl } from '../kernel/sysctl-name.ts'
import { applySysctls, desiredSysctls, requireFamilies, reservedNodePorts } from './sysctls.ts'

const UPLINKS = ['eth0', 'eth1', 'eth0.100']

test('only what differs is set, router advertisements before forwarding, and a choice of "never" is respected', () => {
  const kernel = new Machine().process()
  kernel.net.run(UPLINKS.map(name => ({ op: 'link-add', link: { kind: 'bridge', name } })))
  kernel.setSysctl('net.ipv4.conf.default.rp_filter', '2')
  kernel.setSysctl(deviceSysctl(6, 'eth1', 'accept_ra'), '0')
  const desired = desiredSysctls([4, 6], [...UPLINKS, 'gone0'])
  assert.deepEqual(
    applySysctls(kernel, desired).map(c => `${c.name} ${c.was}→${kernel.sysctl(c.name)}`),
    [
      'net.ipv4.ip_forward 0→1',
      'net.ipv4.conf.default.rp_filter 2→0',
      'net.ipv6.conf.eth0.accept_ra 1→2',
      'net.ipv6.conf.eth0/100.accept_ra 1→2',
      'net.ipv6.conf.all.forwarding 0→1',
    ],
  )
  assert.equal(kernel.sysctl(deviceSysctl(6, 'eth1', 'accept_ra')), '0')
  assert.deepEqual(applySysctls(kernel, desired), [])
})

test('a family that is off is left alone', () => {
  assert.deepEqual(
    desiredSysctls([6], []).map(s => s.name),
    ['net.ipv6.conf.all.forwarding'],
  )
})

test('IPv4 is forwarded for pods without it where NAT64 makes it of what they send', () => {
  const forwardsIpv4 = (masquerade_flags: number): boolean =>
    desiredSysctls([6], [], { masquerade_flags }).some(({ name }) => name === 'net.ipv4.ip_forward')
  assert.deepEqual([15, 16, 31].map(forwardsIpv4), [false, true, true])
})

test('a family that pods shall have and the kernel lacks is refused with what to do', () => {
  const without = { sysctl: (name: string) => (name.startsWith('net.ipv4.') ? '0' : undefined) }
  assert.throws(() => requireFamilies(without, [4, 6]), { code: 'NOT_SUPPORTED', message: /families: \[ipv4\]/ })
  requireFamilies(without, [4])
  requireFamilies(new Machine().process(), [4, 6])
})

test('sysctls that are not where the configuration says are not taken for a kernel without IPv6', () => {
  const nothing = { sysctl: () => undefined }
  assert.throws(() => requireFamilies(nothing, [4, 6]), { code: 'CONFIG', key: 'paths.sysctl' })
})

for (const [range, reserved, wanted] of [
  ['32768\t60999', '', undefined],
  ['1024\t65535', '', '30000-32767'],
  ['30000\t31000', '8080,9000-9010', '8080,9000-9010,30000-32767'],
  ['1024\t65535', '8080,30000-32767', undefined],
  ['1024\t65535', '29000-33000', undefined],
  ['1024\t65535', '30000-32000', '30000-32000,30000-32767'],
] as const)
  test(`with source ports ${range.replace('\t', '–')} and '${reserved}' reserved node ports are kept from sockets`, () => {
    const values: Readonly<Record<string, string>> = {
      'net.ipv4.ip_local_port_range': range,
      'net.ipv4.ip_local_reserved_ports': reserved,
    }
    const [sysctl] = reservedNodePorts({ sysctl: name => values[name] })
    assert.equal(sysctl?.value, wanted)
  })
