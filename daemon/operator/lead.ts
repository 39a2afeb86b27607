/** What the elected operator does, from a first look at the whole cluster until it does not lead any more. */
import type { CloudSetup } from '../../plugins/cloud-core/setup.ts'
import type { Refusal } from '../cluster-side.ts'
import { EventRecorder } from '../cluster/kubernetes/events.ts'
import { type ApiResource, RESOURCES } from '../cluster/kubernetes/resources.ts'
import type { RowTarget, UnusableObject } from '../cluster/kubernetes/row-sink.ts'
import {
  byProblem,
  type Collection,
  rowsOf,
  type WatchedRows,
  watchRows,
  type WatchOptions,
} from '../cluster/kubernetes/watched-rows.ts'
import { parseNamespace } from '../cluster/parse.ts'
import type { SourceProblem } from '../cluster/source.ts'
import { Jobs } from '../jobs.ts'
import { replaceRows } from '../state/replace.ts'
import type { Table } from '../state/table.ts'
import { CloudAddresses } from './cloud/addresses.ts'
import { networksTarget, parseNetworkRows } from './cloud/cloud-network.ts'
import type { CloudMeter } from './cloud/metrics.ts'
import { markNodes, NO_MARKS, type NodeMarks } from './cloud/node-marks.ts'
import { Definitions } from './definitions.ts'
import { markReadyNodes } from './node-readiness.ts'
import { OwnStatus } from './own-status.ts'
import {
  parseClusterNode,
  parseIpPool,
  parseSettings,
  parsePolicy,
  parsePolicyName,
  parseServiceAddresses,
} from './parse.ts'
import { PodRanges } from './pod-ranges.ts'
import { warnOfPolicies } from './policy-warnings.ts'
import { createOperatorTables, type OperatorTables } from './rows.ts'
import { followServiceRanges } from './service-ranges.ts'
import { Strays } from './strays.ts'

export interface LeadOptions extends WatchOptions {
  readonly identity: string
  readonly refusal: Refusal
  /** Whose addresses pods get, where they are a cloud's. */
  readonly cloud?: (() => CloudSetup) | undefined
  readonly meter?: CloudMeter
  /** It is certain that nobody else leads. */
  readonly certain?: () => boolean
  /** Nodes that have no address of the cloud left are tainted. */
  readonly taintEmpty?: boolean
}

export class Leadership {
  readonly #options: LeadOptions
  readonly #tables: OperatorTables = createOperatorTables()
  /** What pod ranges are given by: a range that is missing there would be given twice. */
  readonly #placing: readonly WatchedRows[]
  /** What objects are judged by besides. */
  readonly #judging: readonly WatchedRows[]
  readonly #placed = Promise.withResolvers<void>()
  readonly #whole = Promise.withResolvers<void>()
  #ranges: PodRanges | undefined
  #status: OwnStatus | undefined
  #definitions: Definitions | undefined
  #addresses: CloudAddresses | undefined

  constructor(options: LeadOptions) {
    this.#options = options
    const { nodes, pools, settings, egressPolicies, namespaces, services, policies } = this.#tables
    this.#placing = [
      this.#watch(RESOURCES.nodes, parseClusterNode, rowsOf(nodes)),
      this.#watch(RESOURCES.nodeNetworks, parseNetworkRows, networksTarget(this.#tables)),
      this.#watch(RESOURCES.services, parseServiceAddresses, rowsOf(services)),
      this.#own(RESOURCES.ipPools, parseIpPool, pools),
    ]
    this.#judging = [
      this.#watch(RESOURCES.namespaces, parseNamespace, rowsOf(namespaces)),
      this.#watch(RESOURCES.networkPolicies, parsePolicyName, rowsOf(policies)),
      this.#own(RESOURCES.nodeSettings, parseSettings, settings),
      this.#own(RESOURCES.egressPolicies, parsePolicy, egressPolicies),
    ]
  }

  get #watches(): readonly WatchedRows[] {
    return [...this.#placing, ...this.#judging]
  }

  get tables(): OperatorTables {
    return this.#tables
  }

  problems(): readonly SourceProblem[] {
    const unheard = byProblem(this.#watches.filter(({ watch }) => !watch.synced || watch.problem !== undefined))
    return [
      ...unheard.map(({ names, problem }) => ({ place: names, message: problem })),
      ...this.#watches.flatMap(({ problems }) => problems()),
      ...(this.#ranges?.problems ?? []).map(message => ({ place: 'pod ranges', message })),
      ...(this.#status?.problems ?? []),
      ...(this.#definitions?.problems ?? []),
      ...(this.#addresses?.problems ?? []),
    ]
  }

  /** Free ranges by pool. */
  uses(): PodRanges['uses'] {
    return this.#ranges?.uses ?? []
  }

  /** Addresses from the cloud, where the operator gives some and leads. */
  get addresses(): CloudAddresses | undefined {
    return this.#addresses
  }

  /** Until the signal aborts; rejects with the first loop that fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, log, clock, identity, refusal } = this.#options
    const tables = this.#tables
    const events = new EventRecorder({ client, component: 'causeway-operator', instance: identity, log, clock })
    const ranges = new PodRanges({ client, tables, events, log, clock })
    const status = new OwnStatus({ client, tables, events, log, clock, ranges, refusal })
    const strays = new Strays({ client, tables, log, clock })
    const definitions = new Definitions({ client, events, log })
    this.#ranges = ranges
    this.#status = status
    this.#definitions = definitions
    const stopped = Promise.withResolvers<void>()
    const stop = (): void => stopped.resolve()
    signal.addEventListener('abort', stop, { once: true })
    await using jobs = new Jobs()
    for (const { watch } of this.#watches) jobs.run(`the watch of ${watch.name}`, until => watch.run(until))
    jobs.run('definitions of own kinds', until => definitions.run(until))
    const services = Promise.withResolvers<void>()
    const known = services.resolve
    jobs.run('ranges of services', until => followServiceRanges({ client, tables, log, known }, until))
    // What is not known yet may have been given already.
    await Promise.race([Promise.all([this.#placed.promise, services.promise]), stopped.promise, jobs.failed])
    if (signal.aborted) return
    log.info({ nodes: tables.nodes.size }, 'the operator knows what all nodes have')
    jobs.run('pod ranges', until => ranges.run(until))
    const { cloud, meter, certain, taintEmpty: taint = false } = this.#options
    if (cloud !== undefined) {
      const addresses = new CloudAddresses({
        setup: cloud(),
        client,
        events,
        tables,
        log,
        clock,
        meter,
        mayChange: certain,
      })
      this.#addresses = addresses
      jobs.run('addresses from the cloud', until => addresses.run(until))
    }
    const { addresses } = this
    const changed = addresses === undefined ? [] : [addresses.marked]
    const marks = (name: string): NodeMarks | undefined => (addresses === undefined ? NO_MARKS : addresses.marks(name))
    jobs.run('what the scheduler knows of addresses', until =>
      markNodes({ client, tables, marks, changed, taint, log, clock }, until),
    )
    jobs.run('NodeNetworks without their Node', until => strays.run(until))
    jobs.run('readiness of nodes', until => markReadyNodes({ client, tables, log, clock }, until))
    await Promise.race([this.#whole.promise, stopped.promise, jobs.failed])
    if (signal.aborted) return
    log.info({ nodes: tables.nodes.size }, 'the operator has seen the whole cluster')
    jobs.run('status of own kinds', until => status.run(until))
    jobs.run('warnings of NetworkPolicies', until => warnOfPolicies({ tables, events }, until))
    await Promise.race([stopped.promise, jobs.failed]).finally(() => signal.removeEventListener('abort', stop))
  }

  #watch<T>(
    resource: ApiResource,
    parse: Collection<T>['parse'],
    target: RowTarget<T>,
    unusable?: RowTarget<UnusableObject>,
  ): WatchedRows {
    const synced = (): void => this.#look()
    const collection = { resource, parse, target, synced, ...(unusable !== undefined && { unusable }) }
    return watchRows(this.#options, collection)
  }

  /** Of an own kind, whose objects say themselves when they cannot be read. */
  #own<T>(resource: ApiResource, parse: Collection<T>['parse'], table: Table<T>): WatchedRows {
    const { unusable } = this.#tables
    return this.#watch(resource, parse, rowsOf(table), {
      get: name => unusable.get(`${resource.kind} ${name}`),
      put: (_, object) => void unusable.put({ ...object, resource }),
      delete: name => void unusable.delete(`${resource.kind} ${name}`),
      replace: objects => {
        const rows = [...objects.values()].map(object => ({ ...object, resource }))
        replaceRows(unusable, rows, row => row.resource.kind === resource.kind)
      },
    })
  }

  #look(): void {
    if (this.#placing.every(({ watch }) => watch.synced)) this.#placed.resolve()
    if (this.#watches.every(({ watch }) => watch.synced)) this.#whole.resolve()
  }
}
