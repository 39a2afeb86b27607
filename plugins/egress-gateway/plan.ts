/** From policies, nodes, pods and gateways' health to where each packet goes. Pure. */
import { familyIn } from '../../daemon/kernel/ip.ts'
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import type { EgressPath, EgressPathRow, EgressPolicyRow } from '../../daemon/state/egress-rows.ts'
import { policyNumber } from '../../daemon/state/egress-rows.ts'
import type { EgressRow, HostAddressRow, NodeRow, UplinkRow } from '../../daemon/state/tables.ts'
import type { Problem } from '../../daemon/plugin.ts'
import type { Health } from './health.ts'
import { planOwn } from './own.ts'
import { choose } from './rendezvous.ts'
import { type Labels, NAMESPACE_NAME, selects } from '../../daemon/state/selectors.ts'
import { type Verdict, verdicts } from './winners.ts'

/** A pod of this node. */
export interface Pod {
  /** Attachment key. */
  readonly key: string
  readonly namespace: string
  /** Empty when no Kubernetes has named it: no policy selects it then. */
  readonly name: string
  readonly addresses: readonly Address[]
  /** Undefined while they are not known. */
  readonly labels: Labels | undefined
}

export interface PlanInput {
  readonly self: string
  readonly policies: readonly EgressPolicyRow[]
  /** Labels of namespaces, as far as objects tell of them. */
  readonly namespaces: ReadonlyMap<string, Labels>
  readonly nodes: readonly NodeRow[]
  readonly pods: readonly Pod[]
  readonly hostAddresses: readonly HostAddressRow[]
  readonly uplinks: readonly UplinkRow[]
  readonly health: (node: string) => Health
}

/** A node that a policy may send packets by. */
export interface Gateway {
  readonly node: string
  /** Where it is reached through the overlay; undefined for this node. */
  readonly tunnel: Address | undefined
  readonly healthy: boolean
}

/** Where a pod's packets to a destination go, for people. */
export interface Assignment {
  readonly pod: string
  readonly destination: string
  readonly policy: string
  /** Undefined: no gateway is healthy. */
  readonly gateway: string | undefined
  /** Policies that name the destination too, and lose. */
  readonly instead: readonly string[]
}

export interface Plan {
  readonly paths: readonly EgressPathRow[]
  /** Of policies whose gateway this node is. */
  readonly egress: readonly EgressRow[]
  /** By policy. */
  readonly gateways: ReadonlyMap<string, readonly Gateway[]>
  readonly assignments: readonly Assignment[]
  /** Remote gateways of policies that select pods here, with the address at which they are to be asked. */
  readonly asked: ReadonlyMap<string, Address>
  readonly problems: readonly Problem[]
}

export function plan(input: PlanInput): Plan {
  const gateways = new Map(input.policies.map(policy => [policy.name, gatewaysOf(policy, input)] as const))
  const own = planOwn(input)
  const pods = input.pods.map(pod => planPod(pod, input, gateways))
  const used = new Set(pods.flatMap(({ policies }) => policies))
  const asked = new Map(
    [...used].flatMap(policy =>
      (gateways.get(policy) ?? []).flatMap(({ node, tunnel }) =>
        tunnel === undefined ? [] : [[node, tunnel] as const],
      ),
    ),
  )
  return {
    paths: [...own.paths, ...pods.flatMap(({ rows }) => rows)],
    egress: own.egress,
    gateways,
    assignments: pods.flatMap(({ assignments }) => assignments),
    asked,
    problems: [...twins(input.policies), ...own.problems],
  }
}

/** The policies that select a pod whose labels are known. */
export function policiesOf(pod: Pod, { policies, namespaces }: Pick<PlanInput, 'policies' | 'namespaces'>) {
  const { labels, namespace } = pod
  if (labels === undefined || pod.name === '') return []
  const around = { ...namespaces.get(namespace), [NAMESPACE_NAME]: namespace }
  return policies.filter(policy =>
    policy.selectors.some(({ pods, namespaces: of }) => selects(pods, labels) && selects(of, around)),
  )
}

/**
 * A node that the cluster calls not ready is left out while another one answers: it may be about to go, or only its
 * kubelet.
 */
function gatewaysOf({ gateways }: EgressPolicyRow, { nodes, self, health }: PlanInput): Gateway[] {
  const own = nodes.find(node => node.name === self)
  const all = nodes
    .filter(node => gateways.some(gateway => selects(gateway.nodes, node.labels)))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(node => {
      const tunnel = node.name === self ? undefined : tunnelOf(node, own)
      if (node.name !== self && tunnel === undefined) return []
      return [{ node: node.name, tunnel, answers: health(node.name) !== 'dead', ready: node.notReady !== true }]
    })
  const anyReady = all.some(({ answers, ready }) => answers && ready)
  return all.map(({ node, tunnel, answers, ready }) => ({ node, tunnel, healthy: answers && (ready || !anyReady) }))
}

/** Of a family that this node has too, IPv4 first, as the overlay's paths to pods. */
function tunnelOf(node: NodeRow, own: NodeRow | undefined): Address | undefined {
  const families = new Set((own?.addresses ?? node.addresses).map(familyIn))
  return ([4, 6] as const)
    .filter(family => families.has(family))
    .map(family => node.addresses.find(address => familyIn(address) === family))
    .find(address => address !== undefined)
}

interface PodPlan {
  readonly rows: readonly EgressPathRow[]
  readonly assignments: readonly Assignment[]
  /** Names of those that select it. */
  readonly policies: readonly string[]
}

function planPod(pod: Pod, input: PlanInput, gateways: Plan['gateways']): PodPlan {
  if (pod.name === '') return { rows: [], assignments: [], policies: [] }
  if (pod.labels === undefined) return { rows: unknownRows(pod), assignments: [], policies: [] }
  const policies = policiesOf(pod, input)
  const name = `${pod.namespace}/${pod.name}`
  const chosen = new Map(policies.map(policy => [policy.name, gatewayFor(name, gateways.get(policy.name) ?? [])]))
  const assignments: Assignment[] = []
  const rows = pod.addresses.flatMap((source): EgressPathRow[] => {
    const all = verdicts(policies, familyIn(source))
    for (const { destination, winner, others } of all)
      if (winner !== undefined)
        assignments.push({
          pod: name,
          destination,
          policy: winner.name,
          gateway: chosen.get(winner.name)?.node,
          instead: others.map(other => other.name),
        })
    return all.length === 0 ? [] : [{ source, paths: all.map(verdict => pathOf(verdict, chosen)) }]
  })
  return { rows, assignments, policies: policies.map(policy => policy.name) }
}

/** All of a pod's flows go by one gateway; by which depends on its name alone, so that it keeps it when it moves. */
function gatewayFor(pod: string, gateways: readonly Gateway[]): Gateway | undefined {
  const healthy = gateways.filter(gateway => gateway.healthy)
  const node = choose(
    pod,
    healthy.map(gateway => gateway.node),
  )
  return healthy.find(gateway => gateway.node === node)
}

function pathOf({ destination, winner }: Verdict, chosen: ReadonlyMap<string, Gateway | undefined>): EgressPath {
  if (winner === undefined) return { destination, policy: '', to: { kind: 'excluded' } }
  const gateway = chosen.get(winner.name)
  const policy = winner.name
  if (gateway === undefined) return { destination, policy, to: { kind: 'none' } }
  if (gateway.tunnel !== undefined)
    return { destination, policy, to: { kind: 'gateway', node: gateway.node, tunnel: gateway.tunnel } }
  return { destination, policy, to: { kind: 'here' } }
}

const EVERYWHERE: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' }

/** Whether a policy selects it is not known: nothing of it may leave by this node as if none did. */
function unknownRows({ addresses }: Pod): EgressPathRow[] {
  return addresses.map(source => ({
    source,
    paths: [{ destination: EVERYWHERE[familyIn(source)], policy: '', to: { kind: 'unknown' } }],
  }))
}

/** Policies whose names have one number would be taken for each other at their gateways. */
function twins(policies: readonly EgressPolicyRow[]): Problem[] {
  const first = new Map<number, string>()
  return policies.flatMap(({ name }) => {
    const other = first.get(policyNumber(name))
    first.set(policyNumber(name), other ?? name)
    if (other === undefined) return []
    return [
      { place: `EgressPolicy ${name}`, message: `has the same number as ${other}: give one of them another name` },
    ]
  })
}
