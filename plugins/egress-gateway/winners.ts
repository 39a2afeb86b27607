/** Which of a pod's policies a destination is sent by. Pure. */
import { covers, familyIn, type IpPrefix, parsePrefix } from '../../daemon/kernel/ip.ts'
import type { Family, Prefix } from '../../daemon/kernel/kernel.ts'
import type { EgressPolicyRow } from '../../daemon/state/egress-rows.ts'

/** What becomes of a destination, as far as no longer prefix of the list covers it. */
export interface Verdict {
  readonly destination: Prefix
  /** Undefined: it is excepted, and no other policy has it. */
  readonly winner: EgressPolicyRow | undefined
  /** Those that name it too, in the order in which they would win. */
  readonly others: readonly EgressPolicyRow[]
}

/**
 * All prefixes of a family that a pod's policies name, each with its winner: of those that send it by a gateway the one
 * with the longest destination, then the highest priority, then the oldest, then the first by name. Within one policy
 * the longest prefix decides, of equal ones the exception.
 */
export function verdicts(policies: readonly EgressPolicyRow[], family: Family): Verdict[] {
  const named = policies.map(policy => ({
    policy,
    destinations: parsed(policy.destinations, family),
    excluded: parsed(policy.excluded, family),
  }))
  const all = new Map(
    policies
      .flatMap(policy => [...policy.destinations, ...policy.excluded])
      .filter(prefix => familyIn(prefix) === family)
      .map(prefix => [prefix, parsePrefix(prefix)] as const),
  )
  return [...all]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([destination, prefix]) => {
      const candidates = named.flatMap(({ policy, destinations, excluded }) => {
        const length = longest(destinations, prefix)
        return length > longest(excluded, prefix) ? [{ policy, length }] : []
      })
      const [winner, ...others] = candidates.sort(inOrder).map(({ policy }) => policy)
      return { destination, winner, others }
    })
}

interface Candidate {
  readonly policy: EgressPolicyRow
  readonly length: number
}

function inOrder(a: Candidate, b: Candidate): number {
  return (
    b.length - a.length ||
    b.policy.priority - a.policy.priority ||
    inTime(a.policy, b.policy) ||
    (a.policy.name < b.policy.name ? -1 : 1)
  )
}

/** Whose age is not known comes after those whose is. */
function inTime(a: EgressPolicyRow, b: EgressPolicyRow): number {
  if (a.created === b.created) return 0
  if (a.created === '' || b.created === '') return a.created === '' ? 1 : -1
  return a.created < b.created ? -1 : 1
}

/** Length of the longest that covers a prefix; less than any when none does. */
function longest(prefixes: readonly IpPrefix[], inner: IpPrefix): number {
  return Math.max(-1, ...prefixes.filter(outer => covers(outer, inner)).map(outer => outer.length))
}

function parsed(prefixes: readonly Prefix[], family: Family): IpPrefix[] {
  return prefixes.filter(prefix => familyIn(prefix) === family).map(prefix => parsePrefix(prefix))
}
