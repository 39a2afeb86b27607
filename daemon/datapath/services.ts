/** What the datapath does about services: carries the table `frontends` into the maps, and what follows from that. */
import type { Address } from '../kernel/kernel.ts'
import { endUdpSockets } from '../kernel/netlink/sock-diag.ts'
import { OWN_NETNS } from '../kernel/netns/netns-file.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { Reconciler } from '../state/reconcile.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { Tables } from '../state/tables.ts'
import { affineBackend } from './affinity.ts'
import { BackendLoads } from './backend-loads.ts'
import type { ProgramSet } from './program-set.ts'
import type { Sizes } from './programs.ts'
import { ServiceRoom } from './service-room.ts'
import { ServiceTarget } from './service-target.ts'
import { SocketEnds } from './socket-ends.ts'

export interface DatapathServicesOptions {
  /** A set is replaced when a map grows. */
  readonly current: () => ProgramSet
  readonly grow: (sizes: Sizes) => Promise<void>
  readonly tables: Pick<Tables, 'frontends' | 'endpoints' | 'backendLoads'>
  /** Of the Maglev tables. */
  readonly seed: string
  readonly log: Logger
  readonly metrics: Metrics
}

export class DatapathServices {
  readonly reconciler: Reconciler<FrontendRow>
  readonly loads: BackendLoads
  readonly #current: () => ProgramSet
  readonly #target: ServiceTarget
  readonly #rows: () => Iterable<FrontendRow>
  readonly #complete: () => boolean

  constructor({ current, grow, tables, seed, log, metrics }: DatapathServicesOptions) {
    this.#current = current
    const ends = new SocketEnds({
      peers: () => current().peers,
      namespaces: () => [OWN_NETNS, ...[...tables.endpoints.values()].map(row => row.netns.path)],
      end: endUdpSockets,
      log,
    })
    const room = new ServiceRoom({ maps: () => mapsByName(current()), grow, log })
    this.#target = new ServiceTarget({
      maps: current,
      seed,
      onLost: lost => ends.add(lost),
      room: entries => room.make(entries),
    })
    this.reconciler = new Reconciler({
      log,
      metrics,
      name: 'service-maps',
      table: tables.frontends,
      target: this.#target,
    })
    this.#rows = () => tables.frontends.values()
    this.#complete = () => tables.frontends.initialized
    this.loads = new BackendLoads({ map: () => current().loads, frontends: this.#rows, loads: tables.backendLoads })
    exposeServices(metrics, { ended: () => ends.ended, hits: () => this.hits() })
  }

  /** New flows of each frontend that has had some, since it is carried. */
  hits(): Map<FrontendRow, number> {
    const found = new Map(this.#current().hits.entries())
    const hits = new Map<FrontendRow, number>()
    for (const row of this.#rows()) {
      const id = this.#target.idOf(row)
      const count = id === undefined ? undefined : found.get(id)
      if (id === undefined || count === undefined) continue
      hits.set(row, Number(count))
      found.delete(id)
    }
    // Of frontends that went; before the first sync all may be still to come.
    if (this.#complete()) this.#current().hits.deleteBatch(found.keys())
    return hits
  }

  /** Why frontends are not in the maps as they should be, by key. */
  failures(): Map<string, string> {
    const { pending } = this.reconciler.status()
    return new Map(pending.flatMap(({ key, error }) => (error === undefined ? [] : [[key, error] as const])))
  }

  /** Whom packets of a client were given last by a frontend, while that still counts. */
  affinity(row: FrontendRow, client: Address): { readonly address: Address; readonly port: number } | undefined {
    const service = this.#target.idOf(row)
    if (service === undefined || row.affinitySeconds === 0) return undefined
    return affineBackend(this.#current(), { service, client, seconds: row.affinitySeconds })
  }
}

function mapsByName({ services, slots, backends, ranges, direct }: ProgramSet) {
  return { services, service_slots: slots, backends, source_ranges: ranges, direct_backends: direct }
}

/** What `/metrics` says of services. */
export function exposeServices(
  metrics: Metrics,
  sources: { readonly ended: () => number; readonly hits: () => ReadonlyMap<FrontendRow, number> },
): void {
  metrics.counter(
    'service_sockets_ended_total',
    'UDP sockets that were ended because the backend that a service had given them was removed.',
    [],
    total => total.inc({}, sources.ended()),
  )
  metrics.counter(
    'service_flows_total',
    'New flows of services that have had some, refused ones included.',
    ['service', 'port', 'kind', 'from'],
    total => {
      for (const [{ service, protocol, port, kind, scope }, count] of sources.hits())
        total.inc({ service, port: `${protocol} ${port}`, kind, from: scope }, count)
    },
  )
}
