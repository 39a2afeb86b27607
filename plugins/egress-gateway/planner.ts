/** Plans anew whenever something changes, and writes `egressPaths` and the policies' rows of `egress`. */
import type { Logger, Metrics, Problem } from '../../daemon/plugin.ts'
import { eachChange } from '../../daemon/state/each-change.ts'
import { EGRESS_DEVICES } from '../../daemon/state/egress-rows.ts'
import { replaceRows } from '../../daemon/state/replace.ts'
import type { EndpointRow, Tables } from '../../daemon/state/tables.ts'
import { HealthOfGateways, type HealthOptions } from './health.ts'
import { type Plan, plan, type Pod } from './plan.ts'
import { Pods } from './pods.ts'
import { type Shown, shown } from './show.ts'

export interface PlannerOptions extends Pick<HealthOptions, 'clock' | 'ask'> {
  readonly tables: Tables
  readonly nodeName: string
  readonly metrics: Metrics
  readonly log: Logger
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly probes: number
  readonly labelsWaitMs: number
}

const NOTHING: Plan = {
  paths: [],
  egress: [],
  gateways: new Map(),
  assignments: [],
  asked: new Map(),
  problems: [],
}

export class Planner {
  readonly #options: PlannerOptions
  readonly #health: HealthOfGateways
  readonly #pods: Pods
  readonly #known: (() => void)[]
  readonly #failovers: ReturnType<Metrics['counter']>
  #plan: Plan = NOTHING
  /** Every gateway that the first pods may go by has answered, or has not in time. */
  #asked = false

  constructor(options: PlannerOptions) {
    const { tables, clock, ask, metrics } = options
    this.#options = options
    this.#pods = new Pods(tables)
    this.#health = new HealthOfGateways({
      clock,
      ask,
      intervalMs: options.probeIntervalMs,
      timeoutMs: options.probeTimeoutMs,
      inRow: options.probes,
    })
    this.#known = [tables.egressPaths.initializer('egress-gateway'), tables.egress.initializer('egress-gateway')]
    this.#failovers = metrics.counter(
      'egress_gateway_failovers_total',
      'Pods of this node that went to another gateway because theirs was not healthy any more.',
      ['gateway'],
    )
    metrics.gauge(
      'egress_gateway_up',
      'Whether a gateway that pods of this node may go by is healthy.',
      ['gateway'],
      g => {
        for (const { node, healthy } of this.shown().gateways) g.set(healthy ? 1 : 0, { gateway: node })
      },
    )
    metrics.gauge('egress_gateway_pods', 'Pods of this node by policy and gateway.', ['policy', 'gateway'], g => {
      for (const [labels, pods] of this.#counts()) g.set(pods, labels)
    })
  }

  get problems(): readonly Problem[] {
    return this.#plan.problems
  }

  shown(): Shown {
    const { nodeName, tables } = this.#options
    return shown({
      node: nodeName,
      policies: [...tables.egressPolicies.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      plan: this.#plan,
      unknown: tables.egressPolicies.size === 0 ? [] : this.#pods.all().filter(isUnknown).map(nameOf),
      health: node => this.#health.of(node),
    })
  }

  /**
   * Plans for a pod before it starts: once its labels are known, or when it has waited long enough for them. Then what
   * it sends out of the cluster is dropped until they are.
   */
  async admit(pod: EndpointRow, signal: AbortSignal): Promise<void> {
    if (pod.pod.name === '') return
    const { tables, clock, labelsWaitMs } = this.#options
    this.#pods.admit(pod.key)
    // What it sends until then is known to be the pod's by nobody else.
    this.follow()
    const until = clock.now() + labelsWaitMs
    while (!this.#isReady(pod) && !signal.aborted && clock.now() < until)
      await this.#change([tables.pods, tables.egressPolicies, tables.namespaces], until - clock.now(), signal)
    this.follow()
  }

  /** Plans once from the tables as they are. */
  follow(): void {
    const { tables } = this.#options
    const before = this.#plan
    const whole = this.#planFor(this.#pods.all())
    this.#health.ask(whole.asked)
    // Pods that outlived the last daemon keep its gateways until these have been asked: one may be dead.
    this.#asked ||= this.#pods.informed && [...whole.asked.keys()].every(node => this.#health.of(node) !== 'untested')
    this.#plan = this.#asked ? whole : this.#planFor(this.#pods.admitted())
    replaceRows(tables.egress, this.#plan.egress, row => row.index >= EGRESS_DEVICES)
    replaceRows(tables.egressPaths, this.#plan.paths)
    this.#tell(before, this.#plan)
    const { nodes, hostAddresses, uplinks } = tables
    if (this.#asked && [nodes, hostAddresses, uplinks].every(table => table.initialized))
      for (const known of this.#known.splice(0)) known()
  }

  #planFor(pods: readonly Pod[]): Plan {
    const { tables, nodeName } = this.#options
    const policies = [...tables.egressPolicies.values()]
    return plan({
      self: nodeName,
      policies,
      namespaces: new Map([...tables.namespaces.values()].map(row => [row.name, row.labels])),
      nodes: [...tables.nodes.values()],
      pods: tables.egressPolicies.initialized && policies.length === 0 ? [] : pods,
      hostAddresses: [...tables.hostAddresses.values()],
      uplinks: [...tables.uplinks.values()],
      health: node => this.#health.of(node),
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { pods, endpoints, nodes, namespaces, egressPolicies, hostAddresses, uplinks } = this.#options.tables
    const all = [pods, endpoints, nodes, namespaces, egressPolicies, hostAddresses, uplinks, this.#health.changed]
    await Promise.all([eachChange(all, () => this.follow(), signal), this.#health.run(signal)])
  }

  #isReady(row: EndpointRow): boolean {
    const { egressPolicies } = this.#options.tables
    if (!this.#pods.informed) return false
    return egressPolicies.size === 0 || this.#pods.labelsOf(row) !== undefined
  }

  /** Resolves at the next change of a table, after `ms`, or when the signal aborts. */
  async #change(tables: readonly { changed(): Promise<void> }[], ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(ms, resolve)
    const onAbort = (): void => resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    await Promise.race([promise, ...tables.map(table => table.changed())])
    signal.removeEventListener('abort', onAbort)
    cancel()
  }

  #tell(before: Plan, now: Plan): void {
    const moved = movedPods(before, now)
    for (const [gateway, pods] of moved) {
      this.#failovers.inc({ gateway }, pods)
      this.#options.log.warn({ gateway, pods }, 'a gateway is not healthy any more; its pods go by others')
    }
  }

  #counts(): [{ readonly policy: string; readonly gateway: string }, number][] {
    const pods = new Map<string, Set<string>>()
    for (const { pod, policy, gateway } of this.#plan.assignments) {
      const key = JSON.stringify({ policy, gateway: gateway ?? '' })
      pods.set(key, (pods.get(key) ?? new Set()).add(pod))
    }
    return [...pods].map(([key, of]) => [JSON.parse(key) as { policy: string; gateway: string }, of.size])
  }
}

function isUnknown({ labels, name }: Pod): boolean {
  return labels === undefined && name !== ''
}

function nameOf({ namespace, name }: Pod): string {
  return `${namespace}/${name}`
}

/** How many pods each gateway lost that was healthy before and is not now. */
function movedPods(before: Plan, now: Plan): ReadonlyMap<string, number> {
  const healthy = new Set([...now.gateways.values()].flat().flatMap(g => (g.healthy ? [g.node] : [])))
  const still = new Set(now.assignments.map(({ pod }) => pod))
  const lost = new Map<string, Set<string>>()
  for (const { pod, gateway } of before.assignments)
    if (gateway !== undefined && !healthy.has(gateway) && still.has(pod))
      lost.set(gateway, (lost.get(gateway) ?? new Set()).add(pod))
  return new Map([...lost].map(([gateway, pods]) => [gateway, pods.size]))
}
