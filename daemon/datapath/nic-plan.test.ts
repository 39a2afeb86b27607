import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LinkInfo } from '../kernel/kernel.ts'
import type { CloudNicRow } from '../state/cloud-rows.ts'
import { deviceOf, gatewaysOf, nicHas } from './nic-plan.ts'

const MAC = '02:00:00:00:00:11'
const NIC: CloudNicRow = {
  id: 'eni-1',
  mac: MAC,
  index: 1,
  subnetCidrs: ['10.0.1.0/24', 'fd00:0:0:1::/64'],
  addresses: ['10.0.1.5'],
  blocks: ['10.0.1.16/28', 'fd00:0:0:1:8::/80'],
}
const link = (index: number, name: string, more: Partial<LinkInfo> = {}): LinkInfo => ({
  index,
  name,
  kind: '',
  mac: MAC,
  alias: '',
  group: 0,
  up: true,
  carrier: true,
  loopback: false,
  master: 0,
  peerIndex: 0,
  mtu: 1500,
  gsoMaxSize: 0,
  groMaxSize: 0,
  gsoIpv4MaxSize: 0,
  groIpv4MaxSize: 0,
  ...more,
})

const devices: readonly (readonly [what: string, links: readonly LinkInfo[], name: string | undefined])[] = [
  ['the one that has its MAC address', [link(2, 'ens5', { mac: '02:00:00:00:00:10' }), link(3, 'ens6')], 'ens6'],
  ['none while there is none', [link(2, 'ens5', { mac: '02:00:00:00:00:10' })], undefined],
  [
    'what a virtual function belongs to, of which the function has the address too',
    [link(2, 'enP1', { master: 3 }), link(3, 'eth1')],
    'eth1',
  ],
  ['what a VLAN lies on', [link(4, 'eth1.7', { kind: 'vlan' }), link(5, 'eth1')], 'eth1'],
  ['no device of the project', [link(2, 'cw-vxlan'), link(3, 'cw0123456789ab')], undefined],
]
for (const [what, links, name] of devices)
  test(`the device of an interface is ${what}`, () => {
    assert.equal(deviceOf({ mac: MAC.toUpperCase() }, links)?.name, name)
  })

test('a subnet’s router has its first address, unless the cloud says another', () => {
  assert.deepEqual(gatewaysOf(NIC), ['10.0.1.1', 'fd00:0:0:1::1'])
  assert.deepEqual(gatewaysOf({ ...NIC, gateways: ['fe80::1234:5678:9abc'] }), ['10.0.1.1', 'fe80::1234:5678:9abc'])
  assert.deepEqual(gatewaysOf({ ...NIC, subnetCidrs: ['10.0.1.0/24'] }), ['10.0.1.1'])
})

test('an interface has its own addresses and those of its blocks', () => {
  const has = ['10.0.1.5', '10.0.1.31', '10.0.1.32', 'fd00:0:0:1:8::9', 'fd00:0:0:1::5'].map(a => nicHas(NIC, a))
  assert.deepEqual(has, [true, true, false, true, false])
})
