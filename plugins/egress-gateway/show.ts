/** `causeway egress`: what policies there are, who goes by which gateway, and which gateways are there. */
import { textTable } from '../../daemon/plugin.ts'
import type { EgressPolicyRow } from '../../daemon/state/egress-rows.ts'
import type { EgressRow } from '../../daemon/state/tables.ts'
import type { Health } from './health.ts'
import type { Assignment, Plan } from './plan.ts'

/** The whole of it, as `-o json` prints it. */
export interface Shown {
  readonly node: string
  readonly policies: readonly {
    readonly name: string
    readonly priority: number
    readonly destinations: readonly string[]
    readonly excluded: readonly string[]
    /** Of this node. */
    readonly pods: readonly string[]
    readonly gateways: readonly string[]
    /** Of this node, when it is a gateway of the policy. */
    readonly addresses: readonly string[]
  }[]
  readonly gateways: readonly {
    readonly node: string
    /** `own` is this node. */
    readonly health: Health | 'own'
    readonly healthy: boolean
    /** Of this node, that go by it. */
    readonly pods: number
  }[]
  readonly pods: readonly Assignment[]
  /** Pods of this node whose labels are not known yet. */
  readonly unknown: readonly string[]
}

export interface ShowInput {
  readonly node: string
  readonly policies: readonly EgressPolicyRow[]
  readonly plan: Plan
  readonly unknown: readonly string[]
  readonly health: (node: string) => Health
}

export function shown({ node, policies, plan, unknown, health }: ShowInput): Shown {
  const { assignments } = plan
  const podsOf = (mine: (a: Assignment) => boolean): string[] => [...new Set(assignments.filter(mine).map(a => a.pod))]
  const gateways = new Map([...plan.gateways.values()].flat().map(gateway => [gateway.node, gateway] as const))
  return {
    node,
    policies: policies.map(({ name, priority, destinations, excluded }) => ({
      name,
      priority,
      destinations,
      excluded,
      pods: podsOf(a => a.policy === name),
      gateways: (plan.gateways.get(name) ?? []).map(gateway => gateway.node),
      addresses: addressesOf(plan.egress, name),
    })),
    gateways: [...gateways.values()]
      .sort((a, b) => (a.node < b.node ? -1 : 1))
      .map(gateway => ({
        node: gateway.node,
        health: gateway.tunnel === undefined ? 'own' : health(gateway.node),
        healthy: gateway.healthy,
        pods: podsOf(a => a.gateway === gateway.node).length,
      })),
    pods: assignments,
    unknown,
  }
}

function addressesOf(egress: readonly EgressRow[], policy: string): string[] {
  return egress.filter(row => row.device === `policy ${policy}`).flatMap(row => row.addresses)
}

export function shownText(all: Shown): string {
  const list = (items: readonly string[]): string => (items.length === 0 ? '-' : items.join(','))
  const policies = textTable(
    ['policy', 'priority', 'destinations', 'excluded', 'pods here', 'gateways', 'addresses here'],
    all.policies.map(p => [
      p.name,
      `${p.priority}`,
      list(p.destinations),
      list(p.excluded),
      `${p.pods.length}`,
      list(p.gateways),
      list(p.addresses),
    ]),
    'no policies',
  )
  const gateways = textTable(
    ['gateway', 'health', 'in use', 'pods here'],
    all.gateways.map(g => [g.node, g.health, g.healthy ? 'yes' : 'no', `${g.pods}`]),
    'no gateways',
  )
  const pods = textTable(
    ['pod', 'destination', 'policy', 'gateway', 'instead of'],
    all.pods.map(a => [a.pod, a.destination, a.policy, a.gateway ?? 'none: dropped', list(a.instead)]),
    'no pods that a policy selects',
  )
  const unknown = all.unknown.length === 0 ? [] : [`labels not known yet: ${all.unknown.join(', ')}\n`]
  return [policies, gateways, pods, ...unknown].join('\n')
}
