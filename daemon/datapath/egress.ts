/** Carries the tables `egress`, `nativeRanges` and `nat64Prefixes` into the maps by which pods' packets leave the cluster. */
import { fromMapped16, fromMappedPrefix, toMapped16, toMappedPrefix } from '../kernel/ip.ts'
import type { Address, BpfMap, Prefix } from '../kernel/kernel.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { Reconciler } from '../state/reconcile.ts'
import type { EgressRow, Nat64PrefixRow, NativeRangeRow, Tables } from '../state/tables.ts'
import type { Target } from '../state/target.ts'
import {
  type EgressAddress,
  type EgressKey,
  Family as SharedFamily,
  NatFlags,
  type NatKey,
  type NatValue,
  type RangeKey,
} from './shared.gen.ts'

/** A set is replaced when a map grows, so each call asks for the current one. */
interface EgressMaps {
  readonly egress: BpfMap<EgressKey, EgressAddress>
  readonly nativeRanges: BpfMap<RangeKey, number>
  readonly nat64Prefixes: BpfMap<RangeKey, number>
  readonly translations: BpfMap<NatKey, NatValue>
}

export interface EgressOptions {
  readonly current: () => EgressMaps
  readonly tables: Pick<Tables, 'egress' | 'nativeRanges' | 'nat64Prefixes'>
  readonly log: Logger
  readonly metrics: Metrics
}

export function egressReconcilers({ current, tables, log, metrics }: EgressOptions) {
  return [
    new Reconciler({
      log,
      metrics,
      name: 'egress-map',
      table: tables.egress,
      target: egressTarget(current, tables.egress),
    }),
    new Reconciler({
      log,
      metrics,
      name: 'native-range-map',
      table: tables.nativeRanges,
      target: nativeRangeTarget(current, tables.nativeRanges),
    }),
    new Reconciler({
      log,
      metrics,
      name: 'nat64-prefix-map',
      table: tables.nat64Prefixes,
      target: nat64PrefixTarget(current),
    }),
  ]
}

/**
 * A flow whose address has gone from all rows ends with it: what follows of it is given another.
 */
export function egressTarget(current: () => EgressMaps, rows: Pick<Tables['egress'], 'values'>): Target<EgressRow> {
  const forgetUnused = (addresses: readonly Address[] = []): void =>
    forget(
      current().translations,
      without(
        addresses,
        [...rows.values()].flatMap(row => row.addresses),
      ),
    )
  return {
    update(row, previous) {
      const wanted = entriesOf(row)
      const wrong = wanted.filter(([key, value]) => !same(current().egress.lookup(key), value))
      for (const [key, value] of wrong) current().egress.update(key, value)
      const left = previous === undefined ? [] : entriesOf(previous).filter(([key]) => !has(wanted, key))
      current().egress.deleteBatch(left.map(([key]) => key))
      forgetUnused(previous?.addresses)
      return wrong.length > 0
    },
    delete(row) {
      current().egress.deleteBatch(entriesOf(row).map(([key]) => key))
      forgetUnused(row.addresses)
    },
    prune(desired) {
      const wanted = [...desired.values()].flatMap(entriesOf)
      const surplus = [...current().egress.entries()].filter(([key]) => !has(wanted, key))
      current().egress.deleteBatch(surplus.map(([key]) => key))
      forgetUnused(surplus.map(([, value]) => fromMapped16(value.address)))
      return surplus.length
    },
  }
}

/** Always written: a look-up finds the longest prefix, which may be that of a wider one. Whether that was so. */
function writeRange(map: BpfMap<RangeKey, number>, prefix: Prefix): boolean {
  const known = map.lookup(rangeKey(prefix)) !== undefined
  map.update(rangeKey(prefix), 1)
  return !known
}

/** A range that somebody else still names stays. */
export function nativeRangeTarget(
  current: () => EgressMaps,
  rows: Pick<Tables['nativeRanges'], 'values'>,
): Target<NativeRangeRow> {
  return {
    update: row => writeRange(current().nativeRanges, row.prefix),
    delete(row) {
      if ([...rows.values()].some(other => other.prefix === row.prefix)) return
      current().nativeRanges.delete(rangeKey(row.prefix))
    },
    prune: desired => pruneRanges(current().nativeRanges, desired.values()),
  }
}

/** Flows that are open stay as they began when their prefix goes. */
export function nat64PrefixTarget(current: () => Pick<EgressMaps, 'nat64Prefixes'>): Target<Nat64PrefixRow> {
  return {
    update: row => writeRange(current().nat64Prefixes, row.prefix),
    delete(row) {
      current().nat64Prefixes.delete(rangeKey(row.prefix))
    },
    prune: desired => pruneRanges(current().nat64Prefixes, desired.values()),
  }
}

/** Removes what no row wants; how many that were. */
function pruneRanges(map: BpfMap<RangeKey, number>, rows: Iterable<{ readonly prefix: string }>): number {
  const wanted = new Set([...rows].map(row => row.prefix))
  const surplus = [...map.entries()]
    .map(([key]) => key)
    .filter(key => !wanted.has(fromMappedPrefix(key.address, key.prefixLength)))
  map.deleteBatch(surplus)
  return surplus.length
}

type Entry = readonly [EgressKey, EgressAddress]

/** The first entry last: it says how many there are. */
function entriesOf({ index, family, addresses }: EgressRow): Entry[] {
  const shared = family === 4 ? SharedFamily.FAMILY_IPV4 : SharedFamily.FAMILY_IPV6
  const count = addresses.length
  return addresses
    .map(
      (address, i): Entry => [
        { ifindex: index, family: shared, index: i },
        { address: toMapped16(address), count },
      ],
    )
    .toReversed()
}

function has(entries: readonly Entry[], { ifindex, family, index }: EgressKey): boolean {
  return entries.some(([key]) => key.ifindex === ifindex && key.family === family && key.index === index)
}

function same(a: EgressAddress | undefined, b: EgressAddress): boolean {
  return a !== undefined && a.count === b.count && Buffer.from(a.address).equals(b.address)
}

function without(addresses: readonly Address[], kept: readonly Address[]): Address[] {
  return addresses.filter(address => !kept.includes(address))
}

/** Both entries of a flow go: the one for replies is found by the address that they come for. */
function forget(translations: EgressMaps['translations'], addresses: readonly Address[]): void {
  if (addresses.length === 0) return
  const ended = [...translations.entries()].filter(([key, { flags, source }]) => {
    const own = (flags & NatFlags.NAT_REPLY) === 0 ? source : key.destination
    return (flags & NatFlags.NAT_EGRESS) !== 0 && addresses.includes(fromMapped16(own))
  })
  translations.deleteBatch(ended.map(([key]) => key))
}

function rangeKey(prefix: string): RangeKey {
  const { bytes, length } = toMappedPrefix(prefix)
  return { prefixLength: length, address: bytes }
}
