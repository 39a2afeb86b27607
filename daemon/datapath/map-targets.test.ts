import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, prefixContains } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { Table } from '../state/table.ts'
import type { EndpointRow, FormerPodRow, HostAddressRow, IpcacheRow } from '../state/tables.ts'
import {
  type DeviceMap,
  type EndpointMap,
  endpointTarget,
  formerPodTarget,
  hostAddressTarget,
  ipcacheTarget,
} from './map-targets.ts'
import type { EndpointValue, IpcacheKey, IpcacheValue } from './shared.gen.ts'

/** Looks up as the kernel's trie does: the longest prefix that covers the key's. */
class Trie extends MemoryMap<IpcacheKey, IpcacheValue> {
  override lookup(key: IpcacheKey): IpcacheValue | undefined {
    const covering = [...this.entries()].filter(([other]) => prefixContains(textOf(other), textOf(key)))
    return covering.toSorted(([a], [b]) => b.prefixLength - a.prefixLength)[0]?.[1]
  }
  prefixes(): string[] {
    return [...this.entries()].map(([key]) => textOf(key)).sort()
  }
}
function textOf({ address, prefixLength }: IpcacheKey): string {
  return `${fromMapped16(address)}/${prefixLength - 96}`
}

const row = (prefix: string, node = 'a'): IpcacheRow => ({ prefix, node, path: { kind: 'native' }, why: 'same link' })
const signal = new AbortController().signal

test('a prefix within another of the same node is written, for the wider one may go', async () => {
  for (const batch of [false, true]) {
    const trie = new Trie('ipcache', 100)
    const target = ipcacheTarget(() => trie)
    await target.update(row('10.64.0.0/16'), undefined, signal)
    if (batch) await target.updateBatch?.([row('10.64.1.0/24'), row('10.64.2.0/24')], [undefined, undefined], signal)
    else for (const prefix of ['10.64.1.0/24', '10.64.2.0/24']) await target.update(row(prefix), undefined, signal)
    await target.delete(row('10.64.0.0/16'), signal)
    assert.deepEqual(trie.prefixes(), ['10.64.1.0/24', '10.64.2.0/24'])
  }
})

test('carrying rows again counts only those that were wrong', async () => {
  const trie = new Trie('ipcache', 100)
  const target = ipcacheTarget(() => trie)
  const rows = ['10.64.1.0/24', '10.64.2.0/24', '10.64.3.0/24'].map(prefix => row(prefix))
  const again = async (): Promise<number | undefined> => target.updateBatch?.(rows, rows, signal)
  assert.equal(await again(), 3)
  assert.equal(await again(), 0)
  await target.update(row('10.64.2.0/24', 'b'), undefined, signal)
  await target.delete(row('10.64.3.0/24'), signal)
  assert.equal(await again(), 2)
})

/** Maps `endpoints` and `devices` in memory with both targets that write them. */
class Endpoints {
  readonly addresses: EndpointMap = new MemoryMap<Uint8Array, EndpointValue>('endpoints', 100)
  readonly devices: DeviceMap = new MemoryMap<number, EndpointValue>('devices', 100)
  readonly pods = endpointTarget(
    () => this.addresses,
    () => this.devices,
    address => void this.gone.push(address),
  )
  readonly gone: string[] = []
  readonly hosts = hostAddressTarget(() => this.addresses)

  shown(): string[] {
    const kinds: Readonly<Record<number, string>> = { 1: 'host', 3: 'former pod' }
    const text = ({ id, ifindex, flags }: EndpointValue): string => kinds[flags] ?? `pod ${id} on ${ifindex}`
    return [
      ...[...this.addresses.entries()].map(([key, value]) => `${fromMapped16(key)}: ${text(value)}`),
      ...[...this.devices.entries()].map(([index, value]) => `device ${index}: ${text(value)}`),
    ].sort()
  }
}
const pod = (id: number, index: number, ...addresses: string[]): EndpointRow => ({
  key: `net/${id}/eth0`,
  id,
  pod: { namespace: 'default', name: `pod-${id}`, uid: '' },
  addresses,
  pool: 'default',
  device: { name: `cw${id}`, index, mac: '02:00:00:00:00:01' },
  interface: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500 },
  netns: { dev: 4, ino: id, path: `/run/netns/${id}` },
})
const host = (address: string): HostAddressRow => {
  const row = { address, prefixLength: 24, scope: 'global', device: 'eth0' } as const
  return row
}

test('a pod is known by its addresses and its device, and written only when something differs', async () => {
  const maps = new Endpoints()
  const row = pod(1, 7, '10.64.0.2', 'fd00::2')
  assert.equal(await maps.pods.update(row, undefined, signal), true)
  assert.deepEqual(maps.shown(), ['10.64.0.2: pod 1 on 7', 'device 7: pod 1 on 7', 'fd00::2: pod 1 on 7'])
  assert.equal(await maps.pods.update(row, row, signal), false)
  maps.devices.delete(7)
  assert.equal(await maps.pods.update(row, row, signal), true)
  await maps.pods.delete(row, signal)
  await maps.pods.delete(row, signal)
  assert.deepEqual(maps.shown(), [])
  assert.deepEqual(maps.gone, ['10.64.0.2', 'fd00::2'])
})

test('what a pod no longer has goes with the update', async () => {
  const maps = new Endpoints()
  const before = pod(1, 7, '10.64.0.2', 'fd00::2')
  await maps.pods.update(before, undefined, signal)
  await maps.pods.update(pod(1, 8, '10.64.0.3', 'fd00::2'), before, signal)
  assert.deepEqual(maps.shown(), ['10.64.0.3: pod 1 on 8', 'device 8: pod 1 on 8', 'fd00::2: pod 1 on 8'])
})

test("addresses and device indices that are another pod's by now stay that pod's", async () => {
  const maps = new Endpoints()
  const old = pod(1, 7, '10.64.0.2')
  await maps.pods.update(old, undefined, signal)
  await maps.pods.update(pod(2, 7, '10.64.0.2'), undefined, signal)
  await maps.pods.update(pod(1, 9, '10.64.0.4'), old, signal)
  assert.deepEqual(maps.shown().slice(-2), ['device 7: pod 2 on 7', 'device 9: pod 1 on 9'])
  await maps.pods.update(pod(3, 8, '10.64.0.2'), undefined, signal)
  await maps.pods.delete(pod(2, 7, '10.64.0.2'), signal)
  assert.ok(maps.shown().includes('10.64.0.2: pod 3 on 8'))
})

test('pods and the node share a map, and neither target removes what is the other one’s', async () => {
  const maps = new Endpoints()
  const pods = new Table<EndpointRow>('endpoints', row => row.key)
  const hosts = new Table<HostAddressRow>('hostAddresses', row => row.address)
  for (const row of [pod(1, 7, '10.64.0.2'), pod(2, 8, '10.64.0.3')]) await maps.pods.update(row, undefined, signal)
  for (const address of ['172.30.0.1', 'fd00:30::1']) await maps.hosts.update(host(address), undefined, signal)
  pods.put(pod(1, 7, '10.64.0.2'))
  hosts.put(host('172.30.0.1'))
  assert.equal(await maps.hosts.prune(hosts, signal), 1)
  assert.equal(await maps.pods.prune(pods, signal), 2)
  assert.deepEqual(maps.gone, ['10.64.0.3'])
  assert.deepEqual(maps.shown(), ['10.64.0.2: pod 1 on 7', '172.30.0.1: host', 'device 7: pod 1 on 7'])
  await maps.hosts.delete(host('10.64.0.2'), signal)
  await maps.pods.delete(pod(4, 3, '172.30.0.1'), signal)
  assert.equal(maps.shown().length, 3)
})

test("pods of another CNI share it too, apart from the node's own addresses", async () => {
  const maps = new Endpoints()
  const former = formerPodTarget(() => maps.addresses)
  const rows = new Table<FormerPodRow>('formerPods', row => row.address)
  await maps.hosts.update(host('172.30.0.1'), undefined, signal)
  for (const address of ['10.244.1.2', '10.244.1.3']) await former.update({ address }, undefined, signal)
  rows.put({ address: '10.244.1.2' })
  assert.equal(await maps.hosts.prune(new Table('hostAddresses', row => row.address), signal), 1)
  assert.equal(await former.prune(rows, signal), 1)
  assert.deepEqual(maps.shown(), ['10.244.1.2: former pod'])
  await maps.pods.update(pod(1, 7, '10.244.1.2'), undefined, signal)
  await former.delete({ address: '10.244.1.2' }, signal)
  assert.deepEqual(maps.shown(), ['10.244.1.2: pod 1 on 7', 'device 7: pod 1 on 7'])
})
