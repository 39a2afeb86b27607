/** Carries the table `egressPaths` into the map by which pods' packets are sent by gateways. */
import { toMapped16, toMappedPrefix } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import {
  type EgressPath as PathOfRow,
  type EgressPathRow,
  policyDevice,
  policyNumber,
  policyOfSource,
} from '../state/egress-rows.ts'
import type { Target } from '../state/target.ts'
import { type EgressPath, EgressPathFlags, type EgressPathKey } from './shared.gen.ts'

export type EgressPathMap = BpfMap<EgressPathKey, EgressPath>

/** Of the prefix that covers a whole source. */
const SOURCE_BITS = 128

/** What a row no longer names goes last: until then the longer prefix is the one that held before. */
export function egressPathTarget(current: () => EgressPathMap): Target<EgressPathRow> {
  return {
    // Always written: a look-up finds the longest prefix, which may be that of a wider one.
    update(row, previous) {
      const wanted = row.paths.map(path => [keyOf(row.source, path), valueOf(path)] as const)
      const wrong = wanted.filter(([key, value]) => !same(current().lookup(key), value))
      for (const [key, value] of wanted) current().update(key, value)
      const kept = new Set(wanted.map(([key]) => textOf(key)))
      const left = (previous?.paths ?? []).map(path => keyOf(row.source, path)).filter(key => !kept.has(textOf(key)))
      current().deleteBatch(left)
      return wrong.length > 0
    },
    delete(row) {
      current().deleteBatch(row.paths.map(path => keyOf(row.source, path)))
    },
    prune(desired) {
      const wanted = new Set(
        [...desired.values()].flatMap(row => row.paths.map(path => textOf(keyOf(row.source, path)))),
      )
      const surplus = [...current().entries()].map(([key]) => key).filter(key => !wanted.has(textOf(key)))
      current().deleteBatch(surplus)
      return surplus.length
    },
  }
}

function keyOf(source: string, { destination }: PathOfRow): EgressPathKey {
  const { bytes, length } = toMappedPrefix(destination)
  return { prefixLength: SOURCE_BITS + length, source: sourceOf(source), destination: bytes }
}

/** A pod's address, or a policy's number in the last word. */
function sourceOf(source: string): Uint8Array {
  const policy = policyOfSource(source)
  if (policy === undefined) return toMapped16(source)
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, policyNumber(policy))
  return bytes
}

const FLAGS = {
  gateway: 0,
  here: 0,
  excluded: EgressPathFlags.EGRESS_KEPT,
  none: EgressPathFlags.EGRESS_NONE,
  unknown: EgressPathFlags.EGRESS_UNKNOWN,
} as const

function valueOf({ policy, to }: PathOfRow): EgressPath {
  return {
    tunnel: to.kind === 'gateway' ? toMapped16(to.tunnel) : new Uint8Array(16),
    policy: policyNumber(policy),
    device: to.kind === 'here' ? policyDevice(policy) : 0,
    flags: FLAGS[to.kind],
  }
}

function textOf({ prefixLength, source, destination }: EgressPathKey): string {
  return `${prefixLength} ${Buffer.from(source).toString('hex')} ${Buffer.from(destination).toString('hex')}`
}

function same(a: EgressPath | undefined, b: EgressPath): boolean {
  return (
    a !== undefined &&
    a.policy === b.policy &&
    a.device === b.device &&
    a.flags === b.flags &&
    Buffer.from(a.tunnel).equals(b.tunnel)
  )
}
