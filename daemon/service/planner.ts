/** Writes the table `frontends`: after each change the services it concerns are thought through again, the others stay. */
import { isDeepStrictEqual } from 'node:util'
import type { BackendLoadRow, EndpointSliceRow, FrontendRow, ServiceRow } from '../state/service-rows.ts'
import { joined } from '../kernel/joined.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import type { Follower } from '../state/table.ts'
import type { EndpointRow, Tables } from '../state/tables.ts'
import type { Balancing } from './balancing.ts'
import { frontendsOf, type ThisNode } from './frontends.ts'
import { hostPortFrontends } from './host-ports.ts'
import { ZoneSpill } from './zone-spill.ts'

type PlannerTables = Pick<
  Tables,
  'nodes' | 'hostAddresses' | 'services' | 'endpointSlices' | 'endpoints' | 'backendLoads' | 'frontends'
>

export interface ServicePlannerOptions {
  readonly tables: PlannerTables
  readonly nodeName: string
  readonly balancing: Balancing
  readonly clock?: Clock
}

/** A frontend that several ask for: services as `namespace/name`, and pods with host ports. */
export interface Contested {
  readonly frontend: string
  readonly winner: string
  readonly others: readonly string[]
}

/** So long at a time: a node with many services has pods to start besides. */
const TURN_MS = 5

/** Of a node (Kubernetes, "Well-Known Labels"). */
const ZONE_LABEL = 'topology.kubernetes.io/zone'

export class ServicePlanner implements Disposable {
  readonly #tables: PlannerTables
  readonly #nodeName: string
  readonly #balancing: Balancing
  readonly #clock: Clock
  readonly #done: () => void
  readonly #services: Follower<ServiceRow>
  readonly #slices: Follower<EndpointSliceRow>
  readonly #pods: Follower<EndpointRow>
  readonly #loads: Follower<BackendLoadRow>
  readonly #spill: ZoneSpill
  /** Slices by the service they belong to, which most often has one: a list is a tenth of a map. */
  readonly #slicesOf = new Map<string, readonly EndpointSliceRow[]>()
  readonly #serviceOfSlice = new Map<string, string>()
  /** What each service, and each pod with host ports, asks for; of two that ask for the same the first by name has it. */
  readonly #wanted = new Map<string, readonly FrontendRow[]>()
  readonly #claims = new Map<string, readonly string[]>()
  /** Frontends that more than one service asks for. */
  readonly #contested = new Set<string>()
  #node = ''

  constructor({ tables, nodeName, balancing, clock = systemClock }: ServicePlannerOptions) {
    this.#tables = tables
    this.#nodeName = nodeName
    this.#balancing = balancing
    this.#clock = clock
    this.#done = tables.frontends.initializer('services')
    this.#services = tables.services.follow('frontends')
    this.#slices = tables.endpointSlices.follow('frontends')
    this.#pods = tables.endpoints.follow('frontends')
    this.#loads = tables.backendLoads.follow('frontends')
    this.#spill = new ZoneSpill(tables.backendLoads)
  }

  /** Plans until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await eachChange(this.#inputs, () => this.#planInTurns(signal), signal)
  }

  /** Frontends that several ask for. */
  get contested(): readonly Contested[] {
    return [...this.#contested].map(frontend => {
      const [winner = '', ...others] = this.#claims.get(frontend) ?? []
      return { frontend, winner, others }
    })
  }

  /** Who asks for the same, and which of them has it. */
  get problems(): readonly string[] {
    return this.contested.map(
      ({ frontend, winner, others }) => `${frontend} is claimed by ${others.join(', ')} too; ${winner} has it`,
    )
  }

  /** Thinks through what has changed since the last call. */
  plan(): void {
    for (const _ of this.#steps()) {
      // All at once.
    }
  }

  /** The same, leaving the event loop to others from time to time. */
  async #planInTurns(signal: AbortSignal): Promise<void> {
    let end = this.#clock.now() + TURN_MS
    for (const _ of this.#steps()) {
      if (this.#clock.now() < end) continue
      await this.#clock.turn()
      if (signal.aborted) return
      end = this.#clock.now() + TURN_MS
    }
  }

  /** One service a step. What changes between two steps is thought through with the next plan, or in one to come. */
  *#steps(): Generator<undefined> {
    const complete = this.#inputs.every(table => table.initialized)
    const node = this.#thisNode()
    const changed = this.#takeChanges()
    const view = JSON.stringify(node)
    if (view !== this.#node) for (const key of this.#keys()) changed.add(key)
    this.#node = view
    for (const key of changed) {
      this.#claimAll(key, this.#rowsOf(key, node))
      yield undefined
    }
    if (complete) this.#done()
  }

  [Symbol.dispose](): void {
    this.#services[Symbol.dispose]()
    this.#slices[Symbol.dispose]()
    this.#pods[Symbol.dispose]()
    this.#loads[Symbol.dispose]()
  }

  get #inputs() {
    const { nodes, hostAddresses, services, endpointSlices, endpoints, backendLoads } = this.#tables
    return [nodes, hostAddresses, services, endpointSlices, endpoints, backendLoads]
  }

  #keys(): string[] {
    const { services, endpoints } = this.#tables
    return [...[...services.values()].map(row => services.keyOf(row)), ...[...endpoints.values()].map(podKey)]
  }

  /** The keys of services and pods that something has changed for. */
  #takeChanges(): Set<string> {
    const { services, endpointSlices } = this.#tables
    const changed = new Set<string>()
    const slices = this.#slices.take()
    for (const row of [...slices.deleted, ...slices.updated]) {
      const key = endpointSlices.keyOf(row)
      const before = this.#serviceOfSlice.get(key)
      if (before !== undefined) this.#forget(before, key, changed)
    }
    for (const row of slices.updated.filter(r => r.service !== '')) this.#remember(row, changed)
    const { updated, deleted } = this.#services.take()
    for (const row of [...updated, ...deleted]) changed.add(services.keyOf(row))
    const pods = this.#pods.take()
    for (const row of [...pods.updated, ...pods.deleted]) changed.add(podKey(row))
    const loads = this.#loads.take()
    if (loads.updated.length + loads.deleted.length > 0)
      for (const row of services.values()) if (row.zoneCapacity !== undefined) changed.add(services.keyOf(row))
    return changed
  }

  #forget(service: string, slice: string, changed: Set<string>): void {
    this.#serviceOfSlice.delete(slice)
    const slices = (this.#slicesOf.get(service) ?? []).filter(row => this.#tables.endpointSlices.keyOf(row) !== slice)
    if (slices.length === 0) this.#slicesOf.delete(service)
    else this.#slicesOf.set(service, slices)
    changed.add(service)
  }

  #remember(row: EndpointSliceRow, changed: Set<string>): void {
    const key = this.#tables.endpointSlices.keyOf(row)
    const service = joined(row.namespace, '/', row.service)
    this.#slicesOf.set(service, [...(this.#slicesOf.get(service) ?? []), row])
    this.#serviceOfSlice.set(key, service)
    changed.add(service)
  }

  #rowsOf(key: string, node: ThisNode): readonly FrontendRow[] {
    const { services, endpoints } = this.#tables
    if (key.startsWith(POD)) {
      const pod = endpoints.get(key.slice(POD.length))
      return pod === undefined ? [] : hostPortFrontends(pod, node, this.#balancing)
    }
    const service = services.get(key)
    const slices = this.#slicesOf.get(key) ?? []
    return service === undefined ? [] : frontendsOf(service, slices, node, this.#balancing, this.#spill)
  }

  /** Rows take the place of those of before, wherever nobody else has claimed them first. */
  #claimAll(key: string, rows: readonly FrontendRow[]): void {
    const before = this.#wanted.get(key) ?? []
    if (rows.length === 0) this.#wanted.delete(key)
    else this.#wanted.set(key, rows)
    for (const row of before) this.#unclaim(row.key, key)
    for (const row of rows) this.#claim(row.key, key)
    for (const frontend of new Set([...before, ...rows].map(row => row.key))) this.#settle(frontend)
  }

  /** Brings the row of a frontend to what its first claimant wants. */
  #settle(frontend: string): void {
    const { frontends } = this.#tables
    const wanted = this.#winner(frontend)
    if (wanted === undefined) frontends.delete(frontend)
    else if (!isDeepStrictEqual(frontends.get(frontend), wanted)) frontends.put(wanted)
  }

  #claim(frontend: string, key: string): void {
    const others = this.#claims.get(frontend) ?? []
    if (others.includes(key)) return
    const claims = [...others, key].sort()
    this.#claims.set(frontend, claims)
    if (claims.length > 1) this.#contested.add(frontend)
  }

  #unclaim(frontend: string, key: string): void {
    const claims = (this.#claims.get(frontend) ?? []).filter(other => other !== key)
    if (claims.length < 2) this.#contested.delete(frontend)
    if (claims.length === 0) this.#claims.delete(frontend)
    else this.#claims.set(frontend, claims)
  }

  #winner(frontend: string): FrontendRow | undefined {
    const [first] = this.#claims.get(frontend) ?? []
    return first === undefined ? undefined : this.#wanted.get(first)?.find(row => row.key === frontend)
  }

  #thisNode(): ThisNode {
    const { nodes, hostAddresses } = this.#tables
    const zone = nodes.get(this.#nodeName)?.labels[ZONE_LABEL] ?? ''
    const addresses = [...hostAddresses.values()].filter(row => row.scope === 'global').map(row => row.address)
    return { name: this.#nodeName, zone, addresses: addresses.sort() }
  }
}

/** In front of what pods are known by here: no namespace has it. */
const POD = 'host ports of '

/** The key in table `endpoints` of a claimant that is a pod; undefined for a service. */
export function podOfClaimant(claimant: string): string | undefined {
  return claimant.startsWith(POD) ? claimant.slice(POD.length) : undefined
}

function podKey({ key }: Pick<EndpointRow, 'key'>): string {
  return `${POD}${key}`
}
