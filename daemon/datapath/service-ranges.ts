/** Who may use a service: entries of the map `source_ranges`, by the service's id and the client's longest prefix. */
import { fromMappedPrefix, toMappedPrefix } from '../kernel/ip.ts'
import type { BpfMap, Prefix } from '../kernel/kernel.ts'
import type { SourceRangeKey } from './shared.gen.ts'

/** Bits of the service's id, in front of the address. */
const SERVICE_BITS = 32

/** Takes away what was there and is not to be, and writes the rest. */
export function replaceRanges(
  map: BpfMap<SourceRangeKey, number>,
  service: number,
  before: readonly Prefix[] = [],
  after: readonly Prefix[] = [],
): void {
  if (before.length + after.length === 0) return
  const fresh = after.filter(prefix => !before.includes(prefix))
  const lost = before.filter(prefix => !after.includes(prefix))
  for (const prefix of fresh) map.update(keyOf(service, prefix), 1)
  for (const prefix of lost) map.delete(keyOf(service, prefix))
}

/** What the map holds, sorted, by the service's id. */
export function rangesByService(map: BpfMap<SourceRangeKey, number>): Map<number, Prefix[]> {
  const found = new Map<number, Prefix[]>()
  for (const [{ service, prefixLength, address }] of map.entries())
    found.set(service, [...(found.get(service) ?? []), fromMappedPrefix(address, prefixLength - SERVICE_BITS)])
  for (const prefixes of found.values()) prefixes.sort()
  return found
}

function keyOf(service: number, prefix: Prefix): SourceRangeKey {
  const { bytes: address, length } = toMappedPrefix(prefix)
  return { service, prefixLength: SERVICE_BITS + length, address }
}
