import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applySysctls, desiredSysctls } from './sysctls.ts'

const values = new Map([
  ['net.ipv4.ip_forward', '0'],
  ['net.ipv4.conf.all.rp_filter', '0'],
  ['net.ipv4.conf.default.rp_filter', '2'],
  ['net.ipv6.conf.eth0.accept_ra', '1'],
  ['net.ipv6.conf.eth1.accept_ra', '0'],
  ['net.ipv6.conf.all.forwarding', '0'],
])
const kernel = {
  sysctl: (name: string) => values.get(name),
  setSysctl: (name: string, value: string) => void values.set(name, value),
}

test('only what differs is set, router advertisements before forwarding, and a choice of "never" is respected', () => {
  const changed = applySysctls(kernel, desiredSysctls([4, 6], ['eth0', 'eth1', 'gone0']))
  assert.deepEqual(
    changed.map(c => `${c.name} ${c.was}→${values.get(c.name)}`),
    [
      'net.ipv4.ip_forward 0→1',
      'net.ipv4.conf.default.rp_filter 2→0',
      'net.ipv6.conf.eth0.accept_ra 1→2',
      'net.ipv6.conf.all.forwarding 0→1',
    ],
  )
  assert.equal(values.get('net.ipv6.conf.eth1.accept_ra'), '0')
  assert.deepEqual(applySysctls(kernel, desiredSysctls([4, 6], ['eth0', 'eth1', 'gone0'])), [])
})

test('a family that is off is left alone', () => {
  assert.deepEqual(
    desiredSysctls([6], []).map(s => s.name),
    ['net.ipv6.conf.all.forwarding'],
  )
})
