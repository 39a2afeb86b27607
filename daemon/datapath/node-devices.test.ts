import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AddressInfo, LinkInfo } from '../kernel/kernel.ts'
import type { NodeRow } from '../state/tables.ts'
import { chooseUplinks, hostAddressRows, type UplinkChoice } from './node-devices.ts'

const link = (index: number, name: string, more: Partial<LinkInfo> = {}): LinkInfo => ({
  index,
  name,
  kind: 'veth',
  mac: `02:00:00:00:00:0${index}`,
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
const address = (
  on: number,
  text: string,
  prefixLength: number,
  scope: AddressInfo['scope'] = 'global',
): AddressInfo => ({
  link: on,
  family: text.includes(':') ? 6 : 4,
  address: text,
  prefixLength,
  scope,
  dynamic: false,
})
const links = [
  link(1, 'lo', { loopback: true }),
  link(2, 'eth0'),
  link(3, 'eth1'),
  link(4, 'eth2', { up: false }),
  link(5, 'cw0123456789ab'),
  link(6, 'cw-vxlan'),
  link(7, 'cwan0'),
]
const addresses = [
  address(1, '127.0.0.1', 8, 'host'),
  address(2, '172.30.0.1', 24),
  address(2, 'fd00:30::1', 64),
  address(2, 'fe80::1:2', 64, 'link'),
  address(3, '192.168.1.1', 24),
  address(1, '::1', 128, 'host'),
  address(1, '169.254.20.10', 32, 'host'),
  address(5, '10.9.9.9', 32),
]
const self: NodeRow = { name: 'n1', addresses: ['172.30.0.1'], podCidrs: [], labels: {} }
const names = (choice: Omit<UplinkChoice, 'former'> & Partial<UplinkChoice>): string =>
  chooseUplinks(links, addresses, { former: [], ...choice })
    .map(u => u.name)
    .join(' ')

const cases: readonly [string, Parameters<typeof names>[0], string][] = [
  [
    'the link with the address of the Node object is the uplink',
    { configured: 'auto', self, defaultRouteLinks: [3] },
    'eth0',
  ],
  [
    'without a Node object the default route decides',
    { configured: 'auto', self: undefined, defaultRouteLinks: [3] },
    'eth1',
  ],
  [
    'an address that no link holds leaves the decision to the default route',
    { configured: 'auto', self: { ...self, addresses: ['10.0.0.1'] }, defaultRouteLinks: [3] },
    'eth1',
  ],
  [
    'the uplinks of before stay while there is no Node object',
    { configured: 'auto', self: undefined, former: [2], defaultRouteLinks: [3] },
    'eth0',
  ],
  [
    'the uplinks of before stay while no link holds the address of the Node object',
    { configured: 'auto', self: { ...self, addresses: ['10.0.0.1'] }, former: [2], defaultRouteLinks: [3] },
    'eth0',
  ],
  [
    'the Node object outweighs the uplinks of before',
    { configured: 'auto', self, former: [3], defaultRouteLinks: [3] },
    'eth0',
  ],
  [
    'uplinks of before that are gone or down leave the decision to the default route',
    { configured: 'auto', self: undefined, former: [4, 9], defaultRouteLinks: [3] },
    'eth1',
  ],
  [
    'configured names are taken as they are, if up',
    { configured: ['eth1', 'eth2'], self, defaultRouteLinks: [] },
    'eth1',
  ],
  [
    'a name may end in a star; devices of the project never match',
    { configured: ['*'], self, defaultRouteLinks: [] },
    'eth0 eth1 cwan0',
  ],
]
for (const [name, choice, want] of cases) test(name, () => assert.equal(names(choice), want))

test("the node is all its addresses but loopback, link-local and pods' devices", () => {
  assert.deepEqual(
    hostAddressRows(links, addresses).map(r => `${r.address}/${r.prefixLength} ${r.scope} ${r.device}`),
    [
      '172.30.0.1/24 global eth0',
      'fd00:30::1/64 global eth0',
      '192.168.1.1/24 global eth1',
      '169.254.20.10/32 host lo',
    ],
  )
})

test('an address that several devices have is one row, the same at each look', () => {
  const unnumbered = [address(1, '10.255.0.1', 32), address(2, '10.255.0.1', 32), address(3, '10.255.0.1', 32)]
  assert.deepEqual(
    hostAddressRows(links, unnumbered).map(r => `${r.address} ${r.device}`),
    ['10.255.0.1 lo'],
  )
})
