import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMapped16, fromMappedPrefix, toMapped16 } from '../kernel/ip.ts'
import { MemoryMap } from '../kernel/memory/map.ts'
import { createTables, type EgressRow } from '../state/tables.ts'
import { egressTarget, nat64PrefixTarget, nativeRangeTarget } from './egress.ts'
import {
  type EgressAddress,
  type EgressKey,
  type NatKey,
  NatFlags,
  type NatValue,
  type RangeKey,
} from './shared.gen.ts'

const signal = new AbortController().signal
function maps() {
  return {
    egress: new MemoryMap<EgressKey, EgressAddress>('egress_addresses', 100),
    nativeRanges: new MemoryMap<RangeKey, number>('native_ranges', 100),
    nat64Prefixes: new MemoryMap<RangeKey, number>('nat64_prefixes', 100),
    translations: new MemoryMap<NatKey, NatValue>('translations', 100),
  }
}
const row = (...addresses: readonly string[]): EgressRow => ({ device: 'eth0', index: 2, family: 4, addresses })
const entries = (map: MemoryMap<EgressKey, EgressAddress>): string[] =>
  [...map.entries()]
    .map(([key, { address, count }]) => `${key.ifindex} ${key.family} ${key.index}/${count} ${fromMapped16(address)}`)
    .sort()

test('a device has its addresses by number, and none that it lost', async () => {
  const to = maps()
  const target = egressTarget(() => to, createTables().egress)
  assert.equal(await target.update(row('10.0.0.1', '10.0.0.2'), undefined, signal), true)
  assert.deepEqual(entries(to.egress), ['2 0 0/2 10.0.0.1', '2 0 1/2 10.0.0.2'])
  assert.equal(await target.update(row('10.0.0.1', '10.0.0.2'), row('10.0.0.1', '10.0.0.2'), signal), false)
  await target.update(row('10.0.0.2'), row('10.0.0.1', '10.0.0.2'), signal)
  assert.deepEqual(entries(to.egress), ['2 0 0/1 10.0.0.2'])
  await target.update({ ...row('10.0.0.2'), index: 7 }, row('10.0.0.2'), signal)
  assert.deepEqual(entries(to.egress), ['7 0 0/1 10.0.0.2'])
  const { egress } = createTables()
  egress.put(row('10.0.0.3'))
  assert.equal(await target.prune(egress, signal), 1)
  assert.deepEqual(entries(to.egress), [])
})

test('flows of an address that has gone are forgotten, and no others', async () => {
  const to = maps()
  const rows = createTables().egress
  const target = egressTarget(() => to, rows)
  const flow = (number: number, own: string, flags: number): void => {
    const [pod, far] = ['10.64.0.1', '198.51.100.9'].map(address => toMapped16(address))
    assert.ok(pod && far)
    const rest = { protocol: 6, created: 0n, backend: 0, ifindex: 0 }
    const ports = { sourcePort: number, destinationPort: 443 }
    const egress = toMapped16(own)
    to.translations.update(
      { source: pod, destination: far, ...ports, ...rest },
      { source: egress, destination: far, ...ports, ...rest, flags },
    )
    to.translations.update(
      { source: far, destination: egress, sourcePort: 443, destinationPort: number, ...rest },
      {
        source: far,
        destination: pod,
        sourcePort: 443,
        destinationPort: number,
        ...rest,
        flags: flags | NatFlags.NAT_REPLY,
      },
    )
  }
  flow(1, '10.0.0.1', NatFlags.NAT_EGRESS)
  flow(2, '10.0.0.2', NatFlags.NAT_EGRESS)
  // A client's of a service.
  flow(3, '10.0.0.1', 0)
  const left = (): number[] =>
    [...to.translations.entries()].map(([key]) => Math.min(key.sourcePort, key.destinationPort))
  rows.put({ ...row('10.0.0.1', '10.0.0.2'), device: 'policy corporate', index: 0x4000_0001 })
  await target.update(row('10.0.0.2'), row('10.0.0.1', '10.0.0.2'), signal)
  assert.deepEqual(left(), [1, 1, 2, 2, 3, 3], 'another row still has it')
  rows.delete('policy corporate IPv4')
  rows.put(row('10.0.0.2'))
  await target.update(row('10.0.0.2'), row('10.0.0.1', '10.0.0.2'), signal)
  assert.deepEqual(left(), [2, 2, 3, 3])
  rows.delete('eth0 IPv4')
  await target.delete(row('10.0.0.2'), signal)
  assert.deepEqual(left(), [3, 3])
})

test('a range stays while somebody names it', async () => {
  const to = maps()
  const { nativeRanges } = createTables()
  const target = nativeRangeTarget(() => to, nativeRanges)
  const named = (owner: string, prefix = '10.0.0.0/8') => ({ prefix, owner })
  const ranges = (): string[] =>
    [...to.nativeRanges.entries()].map(([k]) => fromMappedPrefix(k.address, k.prefixLength))
  for (const owner of ['one', 'other']) {
    nativeRanges.put(named(owner))
    await target.update(named(owner), undefined, signal)
  }
  await target.update(named('one', 'fd00::/8'), undefined, signal)
  nativeRanges.delete(nativeRanges.keyOf(named('one')))
  await target.delete(named('one'), signal)
  assert.deepEqual(ranges(), ['10.0.0.0/8', 'fd00::/8'])
  assert.equal(await target.prune(nativeRanges, signal), 1)
  nativeRanges.delete(nativeRanges.keyOf(named('other')))
  await target.delete(named('other'), signal)
  assert.deepEqual(ranges(), [])
})

test('prefixes of NAT64 are in their map, and no others', async () => {
  const to = maps()
  const { nat64Prefixes } = createTables()
  const target = nat64PrefixTarget(() => to)
  const [one, other] = [{ prefix: '64:ff9b::/96' }, { prefix: '2001:db8:64::/96' }]
  const prefixes = (): string[] =>
    [...to.nat64Prefixes.entries()].map(([k]) => fromMappedPrefix(k.address, k.prefixLength))
  assert.equal(await target.update(one, undefined, signal), true)
  assert.equal(await target.update(one, undefined, signal), false)
  await target.update(other, undefined, signal)
  assert.deepEqual(prefixes(), [one.prefix, other.prefix])
  await target.delete(one, signal)
  nat64Prefixes.put(one)
  assert.equal(await target.prune(nat64Prefixes, signal), 1)
  assert.deepEqual(prefixes(), [])
})
