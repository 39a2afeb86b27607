/**
 * An API server as cluster source: each collection that this node needs is listed and watched by itself. While the server
 * is away everything known stays; a table is complete once all that it is made of has been listed.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { Tables } from '../../state/tables.ts'
import { parseNodeNetwork } from '../join-node.ts'
import type { ObjectField } from '../object-field.ts'
import { parseEgressPolicy } from '../parse-egress-policy.ts'
import { parseEndpointSlice } from '../parse-endpoint-slice.ts'
import { parseService } from '../parse-service.ts'
import { parseNamespace, parseNode, parsePod } from '../parse.ts'
import type { ClusterSource, SourceProblem } from '../source.ts'
import { missingAccess } from './access.ts'
import type { ApiClient, Query } from './client.ts'
import { Compactor } from './compact.ts'
import { ListWatch } from './list-watch.ts'
import type { ApiMetrics } from './metrics.ts'
import { NodeJoin } from './node-join.ts'
import { type ApiResource, OWN_GROUP, RESOURCES } from './resources.ts'
import { RowSink, type RowTarget } from './row-sink.ts'

export interface KubernetesSourceOptions {
  readonly client: ApiClient
  readonly nodeName: string
  readonly tables: Pick<Tables, 'nodes' | 'pods' | 'services' | 'endpointSlices' | 'namespaces' | 'egressPolicies'>
  readonly log: Logger
  readonly clock: Clock
  /** A watch that says nothing for so long is opened anew. */
  readonly idleMs: number
  readonly metrics?: Pick<ApiMetrics, 'restarted' | 'received'>
}

/** Services of other proxies, and slices that no service address leads to (kube-proxy leaves the same out). */
const SERVED = '!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless'

/** A table to which a writer declares itself. */
type Declared = Pick<Table<unknown>, 'initializer'>

/** A collection, and the tables that are complete once it has been listed. */
interface Part {
  readonly watch: ListWatch
  readonly resource: ApiResource
  readonly problems: () => readonly SourceProblem[]
  readonly tables: readonly Declared[]
}

/** Declares itself to all its tables; nothing is asked before `run`. */
export function createKubernetesSource(options: KubernetesSourceOptions): ClusterSource {
  return new KubernetesSource(options)
}

class KubernetesSource implements ClusterSource {
  readonly name = 'kubernetes'
  readonly #options: KubernetesSourceOptions
  readonly #parts: readonly Part[]
  readonly #pending: Map<Declared, () => void>
  /** What the API server says we may not do. */
  #refused: readonly SourceProblem[] = []

  constructor(options: KubernetesSourceOptions) {
    this.#options = options
    this.#parts = this.#makeParts()
    const tables = new Set(this.#parts.flatMap(part => part.tables))
    this.#pending = new Map([...tables].map(table => [table, table.initializer('cluster/kubernetes')]))
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#checkAccess(signal), ...this.#parts.map(part => part.watch.run(signal))])
  }

  waitingFor(): string | undefined {
    const waiting = this.#parts.filter(part => !part.watch.synced)
    if (waiting.length === 0) return undefined
    return [...byProblem(waiting)].map(([problem, names]) => `${names.join(', ')} (${problem})`).join('; ')
  }

  problems(): readonly SourceProblem[] {
    const silent = this.#parts.filter(part => part.watch.synced && part.watch.problem !== undefined)
    const away = [...byProblem(silent)].map(([problem, names]) => ({
      place: `API server ${this.#options.client.server}`,
      message: `${names.join(', ')}: ${problem}; what is known stays, and is brought up to date when it answers`,
    }))
    return [...this.#refused, ...away, ...this.#parts.flatMap(part => part.problems())]
  }

  /** Said once at start, where it is not known yet what a refusal would mean. */
  async #checkAccess(signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options
    const rules = this.#parts.map(part => part.resource)
    this.#refused = await missingAccess(client, rules, signal)
    for (const problem of this.#refused) log.error({ ...problem }, 'cluster source: a right is missing')
  }

  #makeParts(): readonly Part[] {
    const { tables, nodeName } = this.#options
    const { nodes, pods, services, endpointSlices, namespaces, egressPolicies } = tables
    const keep = new Compactor()
    const join = new NodeJoin(nodes)
    const own = { fieldSelector: `spec.nodeName=${nodeName}` }
    const served = { labelSelector: SERVED }
    return [
      this.#part(RESOURCES.nodes, {}, object => keep.node(parseNode(object)), join.nodes, [nodes]),
      this.#part(RESOURCES.nodeNetworks, {}, parseNodeNetwork, join.networks, [nodes]),
      this.#part(RESOURCES.pods, own, parsePod, rowsOf(pods), [pods]),
      this.#part(RESOURCES.services, served, object => keep.service(parseService(object)), rowsOf(services), [
        services,
      ]),
      this.#part(RESOURCES.endpointSlices, served, slicesOf(keep), rowsOf(endpointSlices), [endpointSlices]),
      this.#part(RESOURCES.namespaces, {}, parseNamespace, rowsOf(namespaces), [namespaces]),
      this.#part(RESOURCES.egressPolicies, {}, parseEgressPolicy, rowsOf(egressPolicies), [egressPolicies]),
    ]
  }

  #part<T>(
    resource: ApiResource,
    query: Query,
    parse: (object: ObjectField) => T | undefined,
    target: RowTarget<T>,
    tables: readonly Declared[],
  ): Part {
    const { client, log, clock, idleMs, metrics } = this.#options
    const sink = new RowSink({ kind: resource.kind, parse, target })
    const watch = new ListWatch({
      client,
      resource,
      query,
      sink,
      synced: () => this.#settle(),
      log,
      clock,
      idleMs,
      restarted: reason => metrics?.restarted(resource.plural, reason),
      received: bytes => metrics?.received(resource.plural, bytes),
    })
    return { watch, resource, tables, problems: () => sink.problems }
  }

  /** Tells the tables of which everything has been listed. */
  #settle(): void {
    for (const [table, done] of this.#pending) {
      if (!this.#parts.every(part => part.watch.synced || !part.tables.includes(table))) continue
      this.#pending.delete(table)
      done()
    }
  }
}

function slicesOf(keep: Compactor): (object: ObjectField) => ReturnType<typeof parseEndpointSlice> {
  return object => {
    const row = parseEndpointSlice(object)
    return row === undefined ? undefined : keep.endpointSlice(row)
  }
}

/** A change of what is not kept of an object is none. */
function rowsOf<T>(table: Table<T>): RowTarget<T> {
  return {
    put: row => {
      if (!isDeepStrictEqual(table.get(table.keyOf(row)), row)) table.put(row)
    },
    delete: row => void table.delete(table.keyOf(row)),
    replace: rows => void replaceRows(table, rows),
  }
}

/** Collections by what keeps them, most often one thing for all of them. */
function byProblem(parts: readonly Part[]): Map<string, string[]> {
  const grouped = new Map<string, string[]>()
  for (const { watch, resource } of parts) {
    const problem = `${watch.problem ?? 'its first list'}${absentKinds(resource, watch.problem)}`
    grouped.set(problem, [...(grouped.get(problem) ?? []), watch.name])
  }
  return grouped
}

function absentKinds({ group }: ApiResource, problem: string | undefined): string {
  if (group !== OWN_GROUP || problem === undefined || !problem.includes(': 404 ')) return ''
  return '; the CustomResourceDefinitions are not installed, or are older: causeway crds | kubectl apply -f -'
}
