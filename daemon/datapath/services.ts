/** What the datapath does about services: carries the table `frontends` into the maps, and what follows from that. */
import type { Address } from '../kernel/kernel.ts'
import { endUdpSockets } from '../kernel/netlink/sock-diag.ts'
import type { Logger, Metrics } from '../plugin.ts'
import { Reconciler } from '../state/reconcile.ts'
import type { FrontendRow } from '../state/service-rows.ts'
import type { Tables } from '../state/tables.ts'
import { affineBackend } from './affinity.ts'
import type { ProgramSet } from './program-set.ts'
import { ServiceTarget } from './service-target.ts'
import { SocketEnds } from './socket-ends.ts'

export interface DatapathServicesOptions {
  /** A set is replaced when a map grows. */
  readonly current: () => ProgramSet
  readonly tables: Pick<Tables, 'frontends' | 'endpoints'>
  /** Of the Maglev tables. */
  readonly seed: string
  readonly log: Logger
  readonly metrics: Metrics
}

/** The namespace that the daemon stands in. */
const HOST_NETNS = '/proc/thread-self/ns/net'

export class DatapathServices {
  readonly reconciler: Reconciler<FrontendRow>
  readonly #current: () => ProgramSet
  readonly #target: ServiceTarget

  constructor({ current, tables, seed, log, metrics }: DatapathServicesOptions) {
    this.#current = current
    const ends = new SocketEnds({
      peers: () => current().peers,
      namespaces: () => [HOST_NETNS, ...[...tables.endpoints.values()].map(row => row.netns.path)],
      end: endUdpSockets,
      log,
    })
    this.#target = new ServiceTarget({ maps: current, seed, onLost: lost => ends.add(lost) })
    this.reconciler = new Reconciler({
      log,
      metrics,
      name: 'service-maps',
      table: tables.frontends,
      target: this.#target,
    })
    metrics.counter(
      'service_sockets_ended_total',
      'UDP sockets that were ended because the backend that a service had given them was removed.',
      [],
      total => total.inc({}, ends.ended),
    )
  }

  /** Whom packets of a client were given last by a frontend, while that still counts. */
  affinity(row: FrontendRow, client: Address): { readonly address: Address; readonly port: number } | undefined {
    const service = this.#target.idOf(row)
    if (service === undefined || row.affinitySeconds === 0) return undefined
    return affineBackend(this.#current(), { service, client, seconds: row.affinitySeconds })
  }
}
