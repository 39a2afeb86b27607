import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CloudDeviceRow } from '../../daemon/state/cloud-rows.ts'
import type { HostAddressRow, NodeRow } from '../../daemon/state/tables.ts'
import { cloudRanges, egressRows } from './egress.ts'

const on = (device: string, address: string, scope: HostAddressRow['scope'] = 'global'): HostAddressRow => ({
  address,
  prefixLength: address.includes(':') ? 64 : 24,
  scope,
  device,
})
const uplinks = [
  { name: 'eth0', index: 2, mtu: 1500, mac: '02:00:00:00:00:01' },
  { name: 'eth1', index: 3, mtu: 1500, mac: '02:00:00:00:00:02' },
]
const hostAddresses = [
  on('eth0', '192.0.2.9'),
  on('eth0', '192.0.2.7'),
  on('eth0', 'fd00::7'),
  on('eth1', '198.51.100.7'),
  on('eth1', '169.254.9.9', 'link'),
  on('docker0', '172.17.0.1'),
]
const self: NodeRow = { name: 'a', addresses: ['192.0.2.7', 'fd00::7'], podCidrs: [], labels: {} }
const text = (input: Partial<Parameters<typeof egressRows>[0]>): string[] =>
  egressRows({ uplinks, hostAddresses, self, chosen: [], ...input }).map(
    row => `${row.device} ${row.index} IPv${row.family} ${row.addresses.join(' ')}`,
  )

test('each uplink has the address that the node is known by, else its first global one', () => {
  assert.deepEqual(text({}), ['eth0 2 IPv4 192.0.2.7', 'eth0 2 IPv6 fd00::7', 'eth1 3 IPv4 198.51.100.7'])
  assert.deepEqual(text({ self: undefined }), [
    'eth0 2 IPv4 192.0.2.9',
    'eth0 2 IPv6 fd00::7',
    'eth1 3 IPv4 198.51.100.7',
  ])
})

test('chosen ones stand on every uplink, as long as the node has them', () => {
  const chosen = ['172.17.0.1', '192.0.2.9', '203.0.113.5']
  assert.deepEqual(text({ chosen }), ['eth0 2 IPv4 172.17.0.1 192.0.2.9', 'eth1 3 IPv4 172.17.0.1 192.0.2.9'])
})

test('more than the programs take are left out', () => {
  const many = Array.from({ length: 20 }, (_, i) => `192.0.2.${i + 50}`)
  const [row = ''] = text({ chosen: many, hostAddresses: many.map(address => on('eth0', address)) })
  assert.equal(row.split(' ').length, 3 + 16)
})

test('the first of a machine’s network interfaces stands for the others, wherever pods’ packets come from', () => {
  const nic = (id: string, name: string, place: number): CloudDeviceRow => ({
    id,
    usable: true,
    why: '',
    name,
    index: 0,
    mtu: 1500,
    place,
    gateways: [],
    addresses: [],
    blocks: [],
  })
  const want = ['eth0 2 IPv4 192.0.2.7', 'eth0 2 IPv6 fd00::7', 'eth1 3 IPv4 192.0.2.7', 'eth1 3 IPv6 fd00::7']
  assert.deepEqual(text({ nics: [nic('eni-1', 'eth1', 1), nic('eni-0', 'eth0', 0)] }), want)
  // The first has none that pods may have, and so no row.
  assert.deepEqual(text({ nics: [nic('eni-1', 'eth1', 1)] }), want)
  assert.deepEqual(text({ nics: [nic('eni-1', 'eth1', 1)], chosen: ['198.51.100.7'] }), [
    'eth0 2 IPv4 198.51.100.7',
    'eth1 3 IPv4 198.51.100.7',
  ])
})

test('the cloud knows pods’ addresses in the subnets of all nodes that are its machines', () => {
  const node = (cloud: NodeRow['cloud'], ...cloudSubnets: string[]): NodeRow => {
    return { name: cloudSubnets.join(), addresses: [], podCidrs: [], labels: {}, ...(cloud && { cloud }), cloudSubnets }
  }
  const nodes = [node('aws', '10.0.2.0/24', '10.0.1.0/24'), node('aws', '10.0.1.0/24'), node('gcp', '10.9.0.0/24')]
  assert.deepEqual(cloudRanges(nodes, 'aws'), ['10.0.1.0/24', '10.0.2.0/24'])
  assert.deepEqual(cloudRanges(nodes, 'none'), [])
  assert.deepEqual(cloudRanges(nodes, undefined), [])
})
