import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteInfo } from '../kernel/kernel.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import { createTables } from '../state/tables.ts'
import { wayOut } from './way-out.ts'

const nic = (id: string, name: string, index: number, more: Partial<CloudDeviceRow>): CloudDeviceRow => ({
  id,
  name,
  index,
  usable: true,
  why: '',
  mtu: 1500,
  place: index - 2,
  addresses: [],
  blocks: [],
  gateways: [],
  ...more,
})
const { cloudDevices } = createTables()
cloudDevices.put(nic('eni-0', 'ens5', 2, { gateways: ['10.0.0.1'], blocks: ['10.0.0.16/28'] }))
cloudDevices.put(
  nic('eni-1', 'ens6', 3, { gateways: ['10.0.1.1', 'fd00::1'], blocks: ['10.0.1.16/28', 'fd00:8::/80'] }),
)

const names = new Map([
  [2, 'ens5'],
  [9, 'docker0'],
])
const route = (dst: string, link: number, via?: string): RouteInfo => ({
  dst,
  link,
  family: 4,
  table: 254,
  protocol: 16,
  ...(via === undefined ? {} : { via }),
})
const parts = {
  tables: { cloudDevices },
  routeTo: (address: string) =>
    address.startsWith('172.17.')
      ? route('172.17.0.0/16', 9)
      : address === '192.0.2.1'
        ? undefined
        : route('0.0.0.0/0', 2, '10.0.0.1'),
  linkName: (index: number) => names.get(index),
}

const cases: readonly (readonly [what: string, source: string, destination: string, cameBy: number, way: object])[] = [
  [
    'by the interface that has its source',
    '10.0.1.17',
    '198.51.100.9',
    0,
    { device: 'ens6', via: '10.0.1.1', why: 'network interface eni-1 has 10.0.1.17' },
  ],
  [
    'by it in its own family',
    'fd00:8::2',
    '2001:db8::1',
    0,
    { device: 'ens6', via: 'fd00::1', why: 'network interface eni-1 has fd00:8::2' },
  ],
  [
    'by it where there is no route',
    '10.0.1.17',
    '192.0.2.1',
    0,
    { device: 'ens6', via: '10.0.1.1', why: 'network interface eni-1 has 10.0.1.17' },
  ],
  ['by a route that leads elsewhere', '10.0.1.17', '172.17.0.9', 0, { device: 'docker0' }],
  ['by the routes where no interface has it', '10.64.0.9', '198.51.100.9', 0, { device: 'ens5', via: '10.0.0.1' }],
  [
    'by the interface that its flow came in by',
    '203.0.113.1',
    '198.51.100.9',
    3,
    { device: 'ens6', via: '10.0.1.1', why: 'the flow came in by network interface eni-1' },
  ],
]
for (const [what, source, destination, cameBy, way] of cases)
  test(`a packet leaves ${what}`, () => {
    assert.deepEqual(wayOut(parts, { source, destination }, cameBy), way)
  })
