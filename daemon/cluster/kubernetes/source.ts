/**
 * An API server as cluster source: each collection that this node needs is listed and watched by itself. While the server
 * is away everything known stays; a table is complete once all that it is made of has been listed.
 */
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
import { Compactor } from './compact.ts'
import { NodeJoin } from './node-join.ts'
import { RESOURCES } from './resources.ts'
import { byProblem, type Collection, rowsOf, type WatchedRows, watchRows, type WatchOptions } from './watched-rows.ts'

export interface KubernetesSourceOptions extends WatchOptions {
  readonly nodeName: string
  readonly tables: Pick<Tables, 'nodes' | 'pods' | 'services' | 'endpointSlices' | 'namespaces' | 'egressPolicies'>
}

/** Services of other proxies, and slices that no service address leads to (kube-proxy leaves the same out). */
const SERVED = '!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless'

/** A table to which a writer declares itself. */
type Declared = Pick<Table<unknown>, 'initializer'>

/** A collection, and the table that is complete once it and the others of that table have been listed. */
type Part = WatchedRows & { readonly table: Declared }

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
    const tables = new Set(this.#parts.map(part => part.table))
    this.#pending = new Map([...tables].map(table => [table, table.initializer('cluster/kubernetes')]))
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#checkAccess(signal), ...this.#parts.map(part => part.watch.run(signal))])
  }

  waitingFor(): string | undefined {
    const waiting = byProblem(this.#parts.filter(part => !part.watch.synced))
    if (waiting.length === 0) return undefined
    return waiting.map(({ names, problem }) => `${names} (${problem})`).join('; ')
  }

  problems(): readonly SourceProblem[] {
    const away = byProblem(this.#parts.filter(part => part.watch.synced && part.watch.problem !== undefined))
    return [
      ...this.#refused,
      ...away.map(({ names, problem }) => ({
        place: `API server ${this.#options.client.server}`,
        message: `${names}: ${problem}; what is known stays, and is brought up to date when it answers`,
      })),
      ...this.#parts.flatMap(part => part.problems()),
    ]
  }

  /** Said once at start, where it is not known yet what a refusal would mean. */
  async #checkAccess(signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options
    const resources = this.#parts.map(part => part.resource)
    this.#refused = await missingAccess(client, resources, signal)
    for (const problem of this.#refused) log.error({ ...problem }, 'cluster source: a right is missing')
  }

  #makeParts(): readonly Part[] {
    const { nodeName, tables } = this.#options
    const { nodes, pods, services, endpointSlices, namespaces, egressPolicies } = tables
    const keep = new Compactor()
    const join = new NodeJoin(nodes)
    const own = { fieldSelector: `spec.nodeName=${nodeName}` }
    const served = { labelSelector: SERVED }
    const resources = RESOURCES
    return [
      this.#part(nodes, { resource: resources.nodes, parse: o => keep.node(parseNode(o)), target: join.nodes }),
      this.#part(nodes, { resource: resources.nodeNetworks, parse: parseNodeNetwork, target: join.networks }),
      this.#rows(pods, { resource: resources.pods, query: own, parse: parsePod }),
      this.#rows(services, { resource: resources.services, query: served, parse: o => keep.service(parseService(o)) }),
      this.#rows(endpointSlices, { resource: resources.endpointSlices, query: served, parse: slicesOf(keep) }),
      this.#rows(namespaces, { resource: resources.namespaces, parse: parseNamespace }),
      this.#rows(egressPolicies, { resource: resources.egressPolicies, parse: parseEgressPolicy }),
    ]
  }

  #rows<T>(table: Table<T>, collection: Omit<Collection<T>, 'target'>): Part {
    return this.#part(table, { ...collection, target: rowsOf(table) })
  }

  #part<T>(table: Declared, collection: Collection<T>): Part {
    return { ...watchRows(this.#options, { ...collection, synced: () => this.#settle() }), table }
  }

  /** Tells the tables of which everything has been listed. */
  #settle(): void {
    for (const [table, done] of this.#pending) {
      if (!this.#parts.every(part => part.watch.synced || part.table !== table)) continue
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
