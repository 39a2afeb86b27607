import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, fromMappedPrefix } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import { createTables } from '../state/tables.ts'
import { nicWayTarget } from './nic-ways.ts'
import type { NicWay, RangeKey } from './shared.gen.ts'

const FIRST: CloudDeviceRow = {
  id: 'eni-0',
  usable: true,
  why: '',
  name: 'ens5',
  index: 2,
  mtu: 9001,
  place: 0,
  gateways: ['10.0.0.1'],
  addresses: ['10.0.0.5'],
  blocks: ['10.0.0.16/28'],
}
const SECOND: CloudDeviceRow = {
  ...FIRST,
  id: 'eni-1',
  name: 'ens6',
  index: 3,
  place: 1,
  gateways: ['10.0.1.1', 'fd00:0:0:1::1'],
  addresses: ['10.0.1.5', 'fd00:0:0:1::5'],
  blocks: ['10.0.1.16/28'],
}
const never = new AbortController().signal

function carrier() {
  const tables = createTables()
  const { cloudDevices } = tables
  const map = new MemoryMap<RangeKey, NicWay>('nic_ways', 64)
  const target = nicWayTarget(() => map, cloudDevices)
  /** `PREFIX by INDEX via ROUTER`; what is found by an index has no prefix that a host could have. */
  const said = (): string[] =>
    [...map.entries()]
      .map(([{ address, prefixLength }, { ifindex, gateway, mtu }]) => {
        const view = new DataView(address.buffer)
        const device = view.getUint32(4) !== 0 && view.getUint32(0) === 0 && view.getUint32(8) === 0
        const what = device
          ? `#${view.getUint32(12)} family ${view.getUint32(4)}`
          : fromMappedPrefix(address, prefixLength)
        return `${what} by ${ifindex} via ${fromMapped16(gateway)} mtu ${mtu}`
      })
      .sort()
  return {
    map,
    target,
    said,
    put: async (row: CloudDeviceRow, previous?: CloudDeviceRow) => {
      cloudDevices.put(row)
      return await target.update(row, previous, never)
    },
    take: async (row: CloudDeviceRow) => {
      cloudDevices.delete(row.id)
      await target.delete(row, never)
    },
    prune: async () => await target.prune(cloudDevices, never),
  }
}

const ALL = [
  '#2 family 1 by 2 via 10.0.0.1 mtu 9001',
  '#3 family 1 by 3 via 10.0.1.1 mtu 9001',
  '#3 family 2 by 3 via fd00:0:0:1::1 mtu 9001',
  '10.0.0.16/28 by 2 via 10.0.0.1 mtu 9001',
  '10.0.0.5/32 by 2 via 10.0.0.1 mtu 9001',
  '10.0.1.16/28 by 3 via 10.0.1.1 mtu 9001',
  '10.0.1.5/32 by 3 via 10.0.1.1 mtu 9001',
  'fd00:0:0:1::5/128 by 3 via fd00:0:0:1::1 mtu 9001',
]

test('an interface is found by what it has and by its index, and nothing is found of what is gone', async () => {
  const c = carrier()
  assert.equal(await c.put(FIRST), true)
  assert.equal(await c.put(SECOND), true)
  assert.deepEqual(c.said(), ALL)
  assert.equal(await c.put(SECOND, SECOND), false)
  await c.put({ ...SECOND, blocks: [] }, SECOND)
  assert.deepEqual(
    c.said(),
    ALL.filter(line => !line.startsWith('10.0.1.16/28')),
  )
  await c.take({ ...SECOND, blocks: [] })
  assert.deepEqual(
    c.said(),
    ALL.filter(line => line.includes('by 2')),
  )
})

test('what one has that is not usable leaves by none', async () => {
  const c = carrier()
  await c.put(SECOND)
  await c.put({ ...SECOND, usable: false, why: 'gone', name: '', index: 0, mtu: 0 }, SECOND)
  assert.deepEqual(c.said(), [
    '10.0.1.16/28 by 0 via 10.0.1.1 mtu 0',
    '10.0.1.5/32 by 0 via 10.0.1.1 mtu 0',
    'fd00:0:0:1::5/128 by 0 via fd00:0:0:1::1 mtu 0',
  ])
})

test('a block that goes from one to another stays the other’s', async () => {
  const c = carrier()
  await c.put(FIRST)
  await c.put({ ...SECOND, blocks: FIRST.blocks })
  await c.put({ ...FIRST, blocks: [] }, FIRST)
  assert.ok(c.said().includes('10.0.0.16/28 by 3 via 10.0.1.1 mtu 9001'))
  await c.take({ ...FIRST, blocks: FIRST.blocks })
  assert.ok(c.said().includes('10.0.0.16/28 by 3 via 10.0.1.1 mtu 9001'))
})

test('leftovers of a former daemon are pruned', async () => {
  const before = carrier()
  await before.put(FIRST)
  const now = carrier()
  for (const [key, way] of before.map.entries()) now.map.update(key, way)
  await now.put(SECOND)
  assert.equal(await now.prune(), 3)
  assert.deepEqual(
    now.said(),
    ALL.filter(line => line.includes('by 3')),
  )
})
