import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FakeLog } from '../../test/support/fake-log.ts'
import type { AddressInfo, LinkInfo, Net } from '../kernel/kernel.ts'
import { Machine } from '../kernel/memory/machine.ts'
import { createTables, type NodeRow } from '../state/tables.ts'
import { Attempts } from './attempts.ts'
import { chooseUplinks, followNodeDevices, hostAddressRows, missingUplinks, type UplinkChoice } from './node-devices.ts'

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
  link(7, 'bond0.7'),
  link(8, 'cwan0'),
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
type Choice = Pick<UplinkChoice, 'configured' | 'self'> &
  Partial<Pick<UplinkChoice, 'former' | 'nics'>> & { readonly defaultRouteLinks: readonly number[] }
const names = (choice: Choice): string =>
  chooseUplinks(links, addresses, {
    former: [],
    nics: [],
    ...choice,
    defaultRouteLinks: () => choice.defaultRouteLinks,
  })
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
    'a star stands for any characters; devices of the project never match',
    { configured: ['*'], self, defaultRouteLinks: [] },
    'eth0 eth1 bond0.7 cwan0',
  ],
  [
    'stars and question marks may stand anywhere, and everything else means itself',
    { configured: ['e?h0', '*1', 'bond0.?', 'eth+', 'cwan'], self, defaultRouteLinks: [] },
    'eth0 eth1 bond0.7',
  ],
  [
    'devices of network interfaces that pods have addresses of are uplinks besides, if up',
    { configured: 'auto', self, nics: [2, 3, 4], defaultRouteLinks: [] },
    'eth0 eth1',
  ],
  [
    'they are so too where others are configured',
    { configured: ['bond0.7'], self, nics: [3], defaultRouteLinks: [] },
    'bond0.7 eth1',
  ],
  [
    'while they are not known, the uplinks of before stay',
    { configured: 'auto', self, nics: undefined, former: [2, 3], defaultRouteLinks: [] },
    'eth0 eth1',
  ],
  [
    'one that is none any more is no uplink',
    { configured: 'auto', self, nics: [], former: [2, 3], defaultRouteLinks: [] },
    'eth0',
  ],
  ['a dot is a dot', { configured: ['bond0?7', 'eth.'], self, defaultRouteLinks: [] }, 'bond0.7'],
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

test('a configured name that no device stands for is a problem', () => {
  const uplinks = chooseUplinks(links, addresses, {
    configured: ['eth0', 'eth2', 'wan*'],
    self,
    former: [],
    nics: [],
    defaultRouteLinks: () => [],
  })
  assert.deepEqual(missingUplinks(['eth0', 'eth2', 'wan*', 'e?h0'], uplinks), [
    'uplinks: no device that is up is named eth2',
    'uplinks: no device that is up is named wan*',
  ])
  assert.deepEqual(missingUplinks('auto', []), [])
})

/** The loop on a machine in memory with a device eth0, and what happens there, in words. */
function following() {
  const { net } = new Machine().process()
  net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'eth0', up: true } }])
  const tables = createTables()
  const clock = new FakeClock()
  const log = new FakeLog()
  const attempts = new Attempts('the look failed', log)
  const said: string[] = []
  const state = { broken: false }
  const watched: Net = new Proxy(net, {
    get: (of, name: keyof Net) => {
      if (name === 'links') said.push('look')
      if (name === 'links' && state.broken) throw new Error('ENOBUFS')
      const member: unknown = of[name]
      return typeof member === 'function' ? member.bind(of) : member
    },
  })
  const stop = new AbortController()
  const running = followNodeDevices(
    {
      net: watched,
      tables,
      nodeName: 'n1',
      uplinks: ['eth0', 'eth9'],
      attempts,
      log,
      clock,
      onChange: () => said.push('changed'),
      onOwnDevice: () => said.push('own device'),
      onFirst: () => said.push('known'),
    },
    stop.signal,
  )
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  const told = (): string => said.splice(0).join(', ')
  return { net, tables, clock, log, attempts, state, told, [Symbol.asyncDispose]: end }
}

test('it looks after events of devices and of the own Node object, not of pods or other nodes', async () => {
  await using at = following()
  await settle()
  assert.equal(at.told(), 'look, changed, known')
  assert.deepEqual(
    [...at.tables.uplinks.values()].map(u => u.name),
    ['eth0'],
  )
  at.tables.nodes.put({ ...self, name: 'n2' })
  at.net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'cw0123456789ab' } }])
  await settle()
  assert.equal(at.told(), '')
  at.tables.nodes.put(self)
  await settle()
  assert.equal(at.told(), 'look, known')
  at.net.run([{ op: 'link-set', link: 'eth0', mtu: 9000 }])
  await settle()
  assert.equal(at.told(), 'look, changed, known')
})

test('it tells that a device of the project has changed', async () => {
  await using at = following()
  await settle()
  at.told()
  at.net.run([{ op: 'link-add', link: { kind: 'bridge', name: 'cw-vxlan' } }])
  await settle()
  assert.match(at.told(), /^own device, /)
})

test('a look that fails is told and made again, and ends nothing', async () => {
  await using at = following()
  await settle()
  at.told()
  at.state.broken = true
  at.net.run([{ op: 'link-set', link: 'eth0', mtu: 9000 }])
  await settle()
  assert.deepEqual([at.told(), at.attempts.failure], ['look', 'the look failed: ENOBUFS'])
  at.state.broken = false
  await at.clock.advance(1000)
  assert.deepEqual([at.told(), at.attempts.failure], ['look, changed, known', undefined])
  assert.equal(at.tables.uplinks.get('eth0')?.mtu, 9000)
})

test('a configured uplink that is missing is logged once', async () => {
  await using at = following()
  await settle()
  at.net.run([{ op: 'link-set', link: 'eth0', mtu: 9000 }])
  await settle()
  assert.deepEqual(
    at.log.lines.filter(line => line.startsWith('warn')),
    ['warn uplinks: no device that is up is named eth9'],
  )
})
