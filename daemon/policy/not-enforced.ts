/** NetworkPolicies are not enforced yet, which is said wherever somebody might think that they are. */
import type { SourceProblem } from '../cluster/source.ts'
import type { Metrics } from '../plugin.ts'
import type { NetworkPolicyRow, Tables } from '../state/tables.ts'

/** For the Event on each of them. */
export const NOT_ENFORCED =
  'Causeway does not enforce NetworkPolicies yet: this one allows and denies nothing. Use another policy engine, or none that you rely on.'

/** Names that a message has. */
const NAMED = 3

/** One problem for all of them, since it is the same on every node; none when there are no policies. */
export function policyProblems({ networkPolicies }: Pick<Tables, 'networkPolicies'>): SourceProblem[] {
  const names = [...networkPolicies].map(nameOf).sort()
  if (names.length === 0) return []
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  const which = `${names.slice(0, NAMED).join(', ')}${more}`
  return [
    {
      place: 'NetworkPolicy',
      message: `not enforced, traffic passes as if there were none: ${which}`,
      ofCluster: true,
    },
  ]
}

export function exposePolicies(
  metrics: Pick<Metrics, 'gauge'>,
  { networkPolicies }: { readonly networkPolicies: Pick<Tables['networkPolicies'], 'size'> },
): void {
  metrics.gauge(
    'network_policies_not_enforced',
    'NetworkPolicies of the cluster, none of which is enforced.',
    [],
    gauge => {
      gauge.set(networkPolicies.size)
    },
  )
}

function nameOf({ namespace, name }: NetworkPolicyRow): string {
  return `${namespace}/${name}`
}
