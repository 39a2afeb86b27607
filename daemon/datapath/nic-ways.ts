/** Carries the table `cloudDevices` into the map by which packets leave by the network interface that has their source. */
import { familyIn, hostPrefix, toMapped16, toMappedPrefix } from '../kernel/ip.ts'
import type { Address, BpfMap, Family } from '../kernel/kernel.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import type { Tables } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import { Family as SharedFamily, type NicWay, type RangeKey } from './shared.gen.ts'

export type NicWayMap = BpfMap<RangeKey, NicWay>

/** What an interface is found by when only its index is known (bpf/lib/shared-egress.h, nic_ways). */
export function nicKey(ifindex: number, family: Family): RangeKey {
  const address = new Uint8Array(16)
  const view = new DataView(address.buffer)
  view.setUint32(4, 1 + (family === 4 ? SharedFamily.FAMILY_IPV4 : SharedFamily.FAMILY_IPV6))
  view.setUint32(12, ifindex)
  return { prefixLength: 128, address }
}

/** Of a prefix that two rows have, as while a block goes from one interface to another, the last one written counts. */
export function nicWayTarget(
  current: () => NicWayMap,
  rows: Pick<Tables['cloudDevices'], 'values'>,
): Target<CloudDeviceRow> {
  const forget = (entries: readonly Entry[]): void => {
    const kept = keysOf([...rows.values()].flatMap(entriesOf))
    current().deleteBatch(entries.map(([key]) => key).filter(key => !kept.has(textOf(key))))
  }
  return {
    // Always written: a look-up finds the longest prefix, which may be that of a wider one.
    update(row, previous) {
      const wanted = entriesOf(row)
      const wrong = wanted.filter(([key, value]) => !same(current().lookup(key), value))
      for (const [key, value] of wanted) current().update(key, value)
      if (previous !== undefined) forget(entriesOf(previous))
      return wrong.length > 0
    },
    delete: row => forget(entriesOf(row)),
    prune(desired) {
      const wanted = keysOf([...desired.values()].flatMap(entriesOf))
      const surplus = [...current().entries()].map(([key]) => key).filter(key => !wanted.has(textOf(key)))
      current().deleteBatch(surplus)
      return surplus.length
    },
  }
}

type Entry = readonly [RangeKey, NicWay]

/** What one that is not usable has leaves by none. */
function entriesOf({ usable, index, mtu, gateways, addresses, blocks }: CloudDeviceRow): Entry[] {
  const sources = [...addresses.map(hostPrefix), ...blocks]
  return gateways.flatMap((gateway): Entry[] => {
    const family = familyIn(gateway)
    const way = wayOf(gateway, usable ? index : 0, mtu)
    const own = sources.filter(prefix => familyIn(prefix) === family).map(rangeKey)
    return [...own, ...(usable ? [nicKey(index, family)] : [])].map(key => [key, way] as const)
  })
}

function wayOf(gateway: Address, ifindex: number, mtu: number): NicWay {
  return { gateway: toMapped16(gateway), ifindex, mtu }
}

function rangeKey(prefix: string): RangeKey {
  const { bytes, length } = toMappedPrefix(prefix)
  return { prefixLength: length, address: bytes }
}

function keysOf(entries: readonly Entry[]): Set<string> {
  return new Set(entries.map(([key]) => textOf(key)))
}

function textOf({ prefixLength, address }: RangeKey): string {
  return `${prefixLength} ${Buffer.from(address).toString('hex')}`
}

function same(a: NicWay | undefined, b: NicWay): boolean {
  return a !== undefined && a.ifindex === b.ifindex && a.mtu === b.mtu && Buffer.from(a.gateway).equals(b.gateway)
}
