/** What the elected operator does, from a first look at the whole cluster until it does not lead any more. */
import { EventRecorder } from '../cluster/kubernetes/events.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import {
  byProblem,
  rowsOf,
  type WatchedRows,
  watchRows,
  type WatchOptions,
} from '../cluster/kubernetes/watched-rows.ts'
import type { SourceProblem } from '../cluster/source.ts'
import { Jobs } from '../jobs.ts'
import { markReadyNodes } from './node-readiness.ts'
import { parseClusterNode, parseIpPool, parseNetwork, parsePolicyName } from './parse.ts'
import { PodRanges } from './pod-ranges.ts'
import { warnOfPolicies } from './policy-warnings.ts'
import { createOperatorTables, type OperatorTables } from './rows.ts'

export interface LeadOptions extends WatchOptions {
  readonly identity: string
}

export class Leadership {
  readonly #options: LeadOptions
  readonly #watches: readonly WatchedRows[]
  readonly #tables: OperatorTables = createOperatorTables()
  readonly #synced = Promise.withResolvers<void>()
  #ranges: PodRanges | undefined

  constructor(options: LeadOptions) {
    this.#options = options
    const { nodes, networks, pools, policies } = this.#tables
    const synced = (): void => this.#look()
    this.#watches = [
      watchRows(options, { resource: RESOURCES.nodes, parse: parseClusterNode, target: rowsOf(nodes), synced }),
      watchRows(options, { resource: RESOURCES.nodeNetworks, parse: parseNetwork, target: rowsOf(networks), synced }),
      watchRows(options, { resource: RESOURCES.ipPools, parse: parseIpPool, target: rowsOf(pools), synced }),
      watchRows(options, {
        resource: RESOURCES.networkPolicies,
        extent: 'metadata',
        parse: parsePolicyName,
        target: rowsOf(policies),
        synced,
      }),
    ]
  }

  get tables(): OperatorTables {
    return this.#tables
  }

  problems(): readonly SourceProblem[] {
    const unheard = byProblem(this.#watches.filter(({ watch }) => watch.problem !== undefined))
    return [
      ...unheard.map(({ names, problem }) => ({ place: names, message: problem })),
      ...this.#watches.flatMap(({ problems }) => problems()),
      ...(this.#ranges?.problems ?? []).map(message => ({ place: 'pod ranges', message })),
    ]
  }

  /** Free ranges by pool. */
  uses(): PodRanges['uses'] {
    return this.#ranges?.uses ?? []
  }

  /** Until the signal aborts; rejects with the first loop that fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, log, clock, identity } = this.#options
    const events = new EventRecorder({ client, component: 'causeway-operator', instance: identity, log, clock })
    const ranges = new PodRanges({ client, tables: this.#tables, events, log, clock })
    this.#ranges = ranges
    const stopped = Promise.withResolvers<void>()
    const stop = (): void => stopped.resolve()
    signal.addEventListener('abort', stop, { once: true })
    await using jobs = new Jobs()
    for (const { watch } of this.#watches) jobs.run(`the watch of ${watch.name}`, until => watch.run(until))
    // What is not known yet may have been given already.
    await Promise.race([this.#synced.promise, stopped.promise, jobs.failed])
    if (signal.aborted) return
    log.info({ nodes: this.#tables.nodes.size }, 'the operator has seen the whole cluster')
    jobs.run('pod ranges', until => ranges.run(until))
    jobs.run('readiness of nodes', until => markReadyNodes({ client, tables: this.#tables, log }, until))
    jobs.run('warnings of NetworkPolicies', until => warnOfPolicies({ tables: this.#tables, events }, until))
    await Promise.race([stopped.promise, jobs.failed]).finally(() => signal.removeEventListener('abort', stop))
  }

  #look(): void {
    if (this.#watches.every(({ watch }) => watch.synced)) this.#synced.resolve()
  }
}
