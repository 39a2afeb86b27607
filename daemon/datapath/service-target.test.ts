import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { PLAIN_BACKEND, PLAIN_FRONTEND } from '../../test/support/service-row.ts'
import { Table } from '../state/table.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import { isAddress } from './service-addresses.ts'
import { rangesByService } from './service-ranges.ts'
import type { Entries } from './service-room.ts'
import { ServiceFlags } from './shared.gen.ts'
import { type ServiceMaps, ServiceTarget } from './service-target.ts'

function row(address: string, ...backends: readonly string[]): FrontendRow {
  return {
    ...PLAIN_FRONTEND,
    key: `TCP ${address}:80 inside`,
    address,
    backends: backends.map(text => ({ ...PLAIN_BACKEND, address: text })),
  }
}

function maps(): ServiceMaps {
  return {
    services: new MemoryMap('services', 1000),
    ranges: new MemoryMap('source_ranges', 1000),
    slots: new MemoryMap('service_slots', 1000),
    backends: new MemoryMap('backends', 1000),
    direct: new MemoryMap('direct_backends', 1000),
    ids: new MemoryMap('service_ids', 1),
    tables: { write: () => undefined },
  }
}

const newTarget = (at: ServiceMaps): ServiceTarget => new ServiceTarget({ maps: () => at, seed: '' })

/** What a client finds at each service, in the order of slots; throws where a slot that counts is empty or its backend lost. */
function seen({ services, slots, backends }: ServiceMaps): string[] {
  const of = [...services.entries()].filter(([key]) => !isAddress(key))
  return of.map(([{ address, port }, { id, count }]) => {
    const found = Array.from({ length: count }, (_, index) => {
      const backend = slots.lookup({ service: id, index })
      assert.ok(backend, `slot ${index} is empty`)
      assert.deepEqual(backends.lookup(backend.id), backend)
      return fromMapped16(backend.address)
    })
    return `${fromMapped16(address)}:${port} → ${found.join(' ')}`
  })
}
/** Addresses that nobody is at but services. */
const addresses = ({ services }: ServiceMaps): string[] =>
  [...services.entries()].flatMap(([key]) => (isAddress(key) ? fromMapped16(key.address) : []))
const sizes = ({ slots, backends }: ServiceMaps): number[] => [
  [...slots.entries()].length,
  [...backends.entries()].length,
]

test('a service is carried, changed and removed, and nothing of it stays', () => {
  const at = maps()
  const target = newTarget(at)
  assert.equal(target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2')), true)
  assert.deepEqual(seen(at), ['10.96.0.1:80 → 10.1.0.1 10.1.0.2'])
  assert.equal(target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2')), false)
  assert.equal(target.update(row('10.96.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4')), true)
  assert.deepEqual(seen(at), ['10.96.0.1:80 → 10.1.0.2 10.1.0.3 10.1.0.4'])
  void target.update(row('10.96.0.1'))
  assert.deepEqual([seen(at), sizes(at)], [['10.96.0.1:80 → '], [0, 0]])
  target.delete(row('10.96.0.1'))
  assert.deepEqual(seen(at), [])
})

test('a backend that stays keeps its id, one that comes again gets another', () => {
  const at = maps()
  const target = newTarget(at)
  const ids = (): Record<string, number> =>
    Object.fromEntries([...at.backends.entries()].map(([id, { address }]) => [fromMapped16(address), id]))
  void target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2'))
  const before = ids()
  void target.update(row('10.96.0.1', '10.1.0.2'))
  assert.equal(ids()['10.1.0.2'], before['10.1.0.2'])
  void target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2'))
  assert.notEqual(ids()['10.1.0.1'], before['10.1.0.1'])
})

test('the next daemon finds what is there, keeps its ids, and prunes what is no longer wanted', () => {
  const at = maps()
  void newTarget(at).updateBatch([row('10.96.0.1', '10.1.0.1'), row('10.96.0.2', '10.1.0.1')])
  const own = () => [...at.services.entries()].filter(([key]) => !isAddress(key))
  const before = own()
  const next = newTarget(at)
  assert.equal(next.update(row('10.96.0.1', '10.1.0.1')), false)
  const table = new Table<FrontendRow>('frontends', r => r.key)
  table.put(row('10.96.0.1', '10.1.0.1'))
  assert.equal(next.prune(table), 1)
  assert.deepEqual([own(), addresses(at)], [before.slice(0, 1), ['10.96.0.1']])
  assert.deepEqual(sizes(at), [1, 1])
  void next.update(row('10.96.0.3', '10.1.0.9'))
  const ids = own().map(([, { id }]) => id)
  assert.equal(new Set(ids).size, ids.length)
})

test('slots and backends that a killed daemon left without a service go with the next prune', () => {
  const at = maps()
  const target = newTarget(at)
  void target.update(row('10.96.0.1', '10.1.0.1'))
  const [lost] = [...at.backends.entries()].map(([, backend]) => backend)
  assert.ok(lost)
  at.slots.update({ service: 99, index: 0 }, lost)
  at.backends.update(98, { ...lost, id: 98 })
  const table = new Table<FrontendRow>('frontends', r => r.key)
  table.put(row('10.96.0.1', '10.1.0.1'))
  assert.equal(target.prune(table), 2)
  assert.deepEqual(sizes(at), [1, 1])
})

test('a refresh finds what somebody else has changed', () => {
  const at = maps()
  const target = newTarget(at)
  const rows = [row('10.96.0.1', '10.1.0.1'), row('10.96.0.2', '10.1.0.2')]
  void target.updateBatch(rows)
  assert.deepEqual(target.differing(rows), [])
  const [key] = [...at.services.entries()].map(([k]) => k)
  if (key) at.services.delete(key)
  assert.deepEqual(target.differing(rows), [rows[0]])
  void target.updateBatch(rows)
  assert.deepEqual(seen(at).sort(), ['10.96.0.1:80 → 10.1.0.1', '10.96.0.2:80 → 10.1.0.2'])
})

test('an address is the services’ for as long as one of them has it, and never one that others have too', () => {
  const at = maps()
  const target = newTarget(at)
  const http = row('10.96.0.1', '10.1.0.1')
  const https = { ...http, key: 'TCP 10.96.0.1:443 inside', port: 443 }
  void target.updateBatch([http, https, { ...row('192.0.2.1', '10.1.0.1'), exclusive: false }])
  assert.deepEqual(addresses(at), ['10.96.0.1'])
  target.delete(http)
  assert.deepEqual(addresses(at), ['10.96.0.1'])
  void target.update({ ...https, exclusive: false })
  assert.deepEqual(addresses(at), [])
  void target.update(https)
  const next = newTarget(at)
  next.delete(https)
  assert.deepEqual(addresses(at), [])
})

test('a prune brings addresses back, and takes away those of nobody', () => {
  const at = maps()
  const target = newTarget(at)
  const table = new Table<FrontendRow>('frontends', r => r.key)
  table.put(row('10.96.0.1', '10.1.0.1'))
  void target.update(row('10.96.0.1', '10.1.0.1'))
  const [[key, nobody] = assert.fail()] = [...at.services.entries()].filter(([k]) => isAddress(k))
  at.services.delete(key)
  at.services.update({ ...key, address: toMapped16('10.96.0.9') }, nobody)
  assert.equal(target.prune(table), 2)
  assert.deepEqual(addresses(at), ['10.96.0.1'])
})

test('who may use a load balancer is carried, changes with the service and goes with it', () => {
  const at = maps()
  const target = newTarget(at)
  const outside = (...sourceRanges: string[]): FrontendRow => ({
    ...row('203.0.113.1', '10.1.0.1'),
    scope: 'outside',
    kind: 'load-balancer',
    sourceRanges,
  })
  const allowed = () => [...rangesByService(at.ranges).values()].map(of => of.join(' '))
  const limited = () => [...at.services.entries()].filter(([, { flags }]) => flags & ServiceFlags.SERVICE_RANGES).length
  void target.update(outside('192.0.2.0/24', '10.0.0.0/8'))
  assert.deepEqual([allowed(), limited()], [['10.0.0.0/8 192.0.2.0/24'], 1])
  assert.equal(target.update(outside('192.0.2.0/24', '10.0.0.0/8')), false)
  const next = newTarget(at)
  assert.equal(next.update(outside('10.0.0.0/8', '192.0.2.0/24')), false)
  void next.update(outside('2001:db8::/32'))
  assert.deepEqual([allowed(), limited()], [['2001:db8::/32'], 1])
  void next.update(outside())
  assert.deepEqual([allowed(), limited()], [[], 0])
  void next.update(outside('10.0.0.0/8'))
  next.delete(outside())
  assert.deepEqual([allowed(), limited()], [[], 0])
})

test('pods that other nodes may choose are known by service and address, under the ids of the slots they are in too', () => {
  const at = maps()
  const target = newTarget(at)
  const direct = (...texts: readonly string[]): FrontendRow['direct'] =>
    texts.map(text => {
      const [address = '', port] = text.split(' ')
      return { ...PLAIN_BACKEND, address, port: Number(port ?? 8080) }
    })
  const held = (): string[] =>
    [...at.direct.entries()]
      .map(([{ service, address }, backend]) => {
        assert.deepEqual(backend.address, address)
        assert.deepEqual(at.backends.lookup(backend.id), backend)
        return `${service} ${fromMapped16(address)} ${backend.port}`
      })
      .sort()
  const dsr = { ...row('203.0.113.1', '10.1.0.1', '10.1.0.2'), forwarding: 'dsr' } as const
  void target.update({ ...dsr, direct: direct('10.1.0.1', '10.1.0.9') })
  assert.deepEqual(
    [held(), sizes(at)],
    [
      ['1 10.1.0.1 8080', '1 10.1.0.9 8080'],
      [2, 3],
    ],
  )
  assert.equal(target.update({ ...dsr, direct: direct('10.1.0.9', '10.1.0.1') }), false)
  void target.update({ ...dsr, direct: direct('10.1.0.9 8081') })
  assert.deepEqual([held(), sizes(at)], [['1 10.1.0.9 8081'], [2, 3]])
  const again = newTarget(at)
  assert.equal(again.update({ ...dsr, direct: direct('10.1.0.9 8081') }), false)
  at.direct.update(
    { service: 77, address: toMapped16('10.1.0.3') },
    { address: toMapped16('10.1.0.3'), port: 1, id: 9 },
  )
  const table = new Table<FrontendRow>('frontends', r => r.key)
  table.put({ ...dsr, direct: direct('10.1.0.9 8081') })
  assert.equal(again.prune(table), 1)
  assert.deepEqual(held(), ['1 10.1.0.9 8081'])
  again.delete(dsr)
  assert.deepEqual([held(), sizes(at)], [[], [0, 0]])
})

test('room is made before what takes it is written, for as much as a change takes at most', async () => {
  const at = maps()
  const asked: Entries[] = []
  let made = false
  const target = new ServiceTarget({
    maps: () => at,
    seed: '',
    room: entries => {
      asked.push(entries)
      if (entries.service_slots < 3) return undefined
      return Promise.resolve().then(() => {
        assert.deepEqual(seen(at), ['10.96.0.1:80 → 10.1.0.1 10.1.0.2'])
        made = true
      })
    },
  })
  assert.equal(target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2')), true)
  assert.equal(await target.updateBatch([row('10.96.0.2', '10.1.0.1'), row('10.96.0.1', '10.1.0.3')]), 2)
  assert.ok(made)
  target.delete(row('10.96.0.2'))
  void target.update(row('10.96.0.1', '10.1.0.3'))
  assert.equal(await target.update(row('10.96.0.3')), true)
  assert.deepEqual(
    asked.map(({ services, service_slots, backends }) => [services, service_slots, backends]),
    [
      [2, 2, 2],
      [4, 3, 3],
      [2, 1, 1],
      [4, 1, 1],
    ],
  )
})

test('no id is given again, neither by this daemon nor by the next, until all have been', () => {
  const at = maps()
  const target = newTarget(at)
  const given = (): number[] => [...at.backends.entries()].map(([id]) => id).sort((a, b) => a - b)
  void target.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2'))
  void target.update(row('10.96.0.1', '10.1.0.1'))
  const next = newTarget(at)
  void next.update(row('10.96.0.1', '10.1.0.1', '10.1.0.2'))
  assert.deepEqual(given(), [1, 3])
  next.delete(row('10.96.0.1'))
  const later = newTarget(at)
  void later.update(row('10.96.0.2', '10.1.0.1'))
  assert.deepEqual(given(), [4])
  assert.deepEqual(at.ids.lookup(0), { services: 2n, backends: 4n })
  at.ids.update(0, { services: 2n, backends: BigInt(0xffff_ffff + 2) })
  void newTarget(at).update(row('10.96.0.2', '10.1.0.1', '10.1.0.2', '10.1.0.3'))
  assert.deepEqual(given(), [3, 4, 5])
})
