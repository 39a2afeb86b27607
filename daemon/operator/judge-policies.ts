/** What is to be said of EgressPolicies: whether they lead anywhere, and which of them contradict each other. Pure. */
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { type LabelSelector, policyNumber } from '../state/egress-rows.ts'
import { NAMESPACE_NAME, selects } from '../state/selectors.ts'
import type { ClusterNodeRow, PolicyRow } from './rows.ts'
import { type Finding, type Judgement, wanted } from './verdict.ts'

export interface PolicyWorld {
  readonly nodes: readonly ClusterNodeRow[]
  readonly namespaces: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[]
  /** Whether a policy selects a pod, by its uid; undefined while that is not known. */
  readonly selectsPods: (policy: PolicyRow) => boolean | undefined
}

export function judgePolicies(policies: readonly PolicyRow[], world: PolicyWorld): readonly Judgement[] {
  return policies.map(policy => {
    const gateways = gatewaysOf(policy, world.nodes)
    return {
      resource: RESOURCES.egressPolicies,
      object: policy,
      fields: { gateways: gateways.length },
      conditions: [ready(policy, gateways, policies, world), ...pods(policy, world)],
    }
  })
}

function gatewaysOf({ gateways }: PolicyRow, nodes: readonly ClusterNodeRow[]): readonly ClusterNodeRow[] {
  return nodes.filter(node => gateways.some(gateway => selects(gateway.nodes, node.labels)))
}

function ready(
  policy: PolicyRow,
  gateways: readonly ClusterNodeRow[],
  policies: readonly PolicyRow[],
  { namespaces }: PolicyWorld,
): Finding {
  const twin = policies.find(({ name }) => name !== policy.name && policyNumber(name) === policyNumber(policy.name))
  if (twin !== undefined)
    return wanted(
      'Ready',
      false,
      'NumberTaken',
      `has the same number as EgressPolicy ${twin.name}: give one another name`,
    )
  if (gateways.length === 0)
    return wanted('Ready', false, 'NoGateway', 'no node has the labels of spec.gateways: what it names is dropped')
  if (gateways.every(({ notReady }) => notReady)) {
    const names = gateways.slice(0, 3).map(({ name }) => name)
    return wanted('Ready', false, 'NoGatewayReady', `no gateway is ready: ${names.join(', ')}`)
  }
  if (!policy.selectors.some(selector => namespaces.some(namespace => isIn(selector.namespaces, namespace))))
    return wanted('Ready', false, 'NoNamespace', 'no namespace has the labels of spec.selectors: no pod is selected')
  const contradictions = policies.flatMap(other => contradiction(policy, other) ?? [])
  if (contradictions.length > 0) {
    const beaten = contradictions.some(({ wins }) => !wins)
    const message = contradictions.map(({ text }) => text).join('; ')
    return { ...wanted('Ready', !beaten, 'Contradicted', message), bad: true }
  }
  return wanted('Ready', true, 'GatewaysFound', 'pods that it selects leave by its gateways')
}

/** Every namespace has the label with its name. */
function isIn(selector: LabelSelector, { name, labels }: PolicyWorld['namespaces'][number]): boolean {
  return selects(selector, { ...labels, [NAMESPACE_NAME]: name })
}

/** A policy may wait for its pods: that is nothing to be warned of. */
function pods(policy: PolicyRow, { selectsPods }: PolicyWorld): readonly Finding[] {
  const some = selectsPods(policy)
  if (some === undefined) return []
  const [reason, message] = some
    ? (['PodsSelected', 'there are pods that it selects'] as const)
    : (['NoPods', 'no pod has the labels of spec.selectors'] as const)
  return [{ ...wanted('SelectsPods', some, reason, message), bad: false }]
}

/** Another of the same priority that sends the same destination, for pods that both may select, elsewhere. */
function contradiction(
  policy: PolicyRow,
  other: PolicyRow,
): { readonly text: string; readonly wins: boolean } | undefined {
  if (other.uid === policy.uid || other.priority !== policy.priority) return undefined
  const destination = policy.destinations.find(
    prefix =>
      other.destinations.includes(prefix) && !policy.excluded.includes(prefix) && !other.excluded.includes(prefix),
  )
  if (destination === undefined || sameWay(policy, other)) return undefined
  const meet = policy.selectors.some(a =>
    other.selectors.some(b => mayMeet(a.pods, b.pods) && mayMeet(a.namespaces, b.namespaces)),
  )
  if (!meet) return undefined
  const wins = isFirst(policy, other)
  const text =
    `${destination} is a destination of EgressPolicy ${policy.name} and of EgressPolicy ${other.name}, both of the same ` +
    `priority: for pods that both select that of ${wins ? policy.name : other.name} counts, which is older. ` +
    'Give the one that shall count a higher priority'
  return { text, wins }
}

function sameWay(a: PolicyRow, b: PolicyRow): boolean {
  return JSON.stringify(a.gateways) === JSON.stringify(b.gateways)
}

/** As the daemons have it (plugins/egress-gateway): the oldest, then the first by name. */
function isFirst(a: PolicyRow, b: PolicyRow): boolean {
  if (a.created !== b.created) return b.created === '' || (a.created !== '' && a.created < b.created)
  return a.name < b.name
}

/** False only where no labels can fulfil both. */
function mayMeet(a: LabelSelector, b: LabelSelector): boolean {
  const values = allowedValues(a)
  for (const [key, others] of allowedValues(b)) {
    const own = values.get(key)
    if (own !== undefined && !own.some(value => others.includes(value))) return false
  }
  return true
}

/** Of keys that a selector gives a list of values for. */
function allowedValues({ matchLabels, matchExpressions }: LabelSelector): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, readonly string[]>(Object.entries(matchLabels).map(([key, value]) => [key, [value]]))
  for (const { key, operator, values } of matchExpressions) {
    if (operator !== 'In') continue
    const known = all.get(key)
    all.set(key, known === undefined ? values : known.filter(value => values.includes(value)))
  }
  return all
}
