/**
 * An API server as cluster source: each collection that this node needs is listed and watched by itself. While the server
 * is away everything known stays; a table is complete once all that it is made of has been listed.
 */
import { aborted } from '../../abort.ts'
import { pause } from '../../state/pause.ts'
import { Rest } from '../../state/rest.ts'
import type { Table } from '../../state/table.ts'
import type { Tables } from '../../state/tables.ts'
import type { ObjectField } from '../object-field.ts'
import type { CloudTables } from '../parse-cloud-spec.ts'
import { parseEgressPolicy } from '../parse-egress-policy.ts'
import { parseEndpointSlice } from '../parse-endpoint-slice.ts'
import { parseService } from '../parse-service.ts'
import { parseNamespace, parseNetworkPolicy, parsePod } from '../parse.ts'
import { SERVED_SELECTOR } from '../served.ts'
import type { ClusterSource, SourceProblem } from '../source.ts'
import { type Access, askAccess, DAEMON_RIGHTS, type Rights, watching } from './access.ts'
import { Compactor } from './compact.ts'
import type { Query } from './client.ts'
import { FirstTogether } from './first-together.ts'
import type { KnownCluster } from './known-cluster.ts'
import { networkOfNode, NodeJoin, nodeWithUid, type OwnUids } from './node-join.ts'
import { type ApiResource, RESOURCES } from './resources.ts'
import type { RowTarget } from './row-sink.ts'
import { byProblem, type Collection, rowsOf, type WatchedRows, watchRows, type WatchOptions } from './watched-rows.ts'

export interface KubernetesSourceOptions extends WatchOptions {
  readonly nodeName: string
  /** What was known before, for a start without the API server. */
  readonly known?: Pick<KnownCluster, 'keep' | 'recall'>
  readonly tables: Pick<
    Tables,
    'nodes' | 'pods' | 'services' | 'endpointSlices' | 'namespaces' | 'networkPolicies' | 'egressPolicies'
  > &
    CloudTables
}

/** The first lists take so long at most where the API server answers, but for the largest clusters. */
const RECALL_MS = 2000
/** What is not allowed, or was not said, is asked again after so long. */
const ACCESS_MS = 30_000

/** A table to which a writer declares itself. */
type Declared = Pick<Table<unknown>, 'initializer'>

/** A collection, and the tables that are complete once it and the others of its group have been listed. */
type Part = WatchedRows & { readonly group: Group }
interface Group {
  readonly tables: readonly Declared[]
}

export interface OwnNode {
  /** Undefined while this node has no Node. */
  ownUids(): OwnUids | undefined
}

/** Declares itself to all its tables; nothing is asked before `run`. */
export function createKubernetesSource(options: KubernetesSourceOptions): ClusterSource & OwnNode {
  return new KubernetesSource(options)
}

class KubernetesSource implements ClusterSource, OwnNode {
  readonly name = 'kubernetes'
  readonly #options: KubernetesSourceOptions
  readonly #join: NodeJoin
  readonly #parts: readonly Part[]
  readonly #pending: Map<Group, readonly (() => void)[]>
  /** Everything has been listed. */
  readonly #synced = Promise.withResolvers<void>()
  /** Since when what was known counts; undefined where the API server answered. */
  #recalled: Date | undefined
  /** Between two questions what we may do. */
  readonly #access: Rest
  /** What the API server says we may not do. */
  #refused: Access['refused'] = new Map()

  constructor(options: KubernetesSourceOptions) {
    this.#options = options
    this.#join = new NodeJoin(options.tables, options.nodeName)
    this.#access = new Rest(options.clock)
    this.#parts = this.#makeParts()
    const groups = new Set(this.#parts.map(part => part.group))
    this.#pending = new Map(
      [...groups].map(group => [group, group.tables.map(table => table.initializer('cluster/kubernetes'))]),
    )
  }

  ownUids(): OwnUids | undefined {
    return this.#join.uidsOf(this.#options.nodeName)
  }

  async run(signal: AbortSignal): Promise<void> {
    const kept = [this.#recall(signal), this.#keep(signal)]
    await Promise.all([this.#checkAccess(signal), ...kept, ...this.#parts.map(part => part.watch.run(signal))])
  }

  waitingFor(): string | undefined {
    const waiting = byProblem(this.#parts.filter(part => !part.watch.synced))
    if (waiting.length === 0) return undefined
    const since =
      this.#recalled === undefined ? '' : `; pods start by what was known at ${this.#recalled.toISOString()}`
    return `${waiting.map(({ names, problem }) => `${names} (${problem})`).join('; ')}${since}`
  }

  problems(): readonly SourceProblem[] {
    const away = byProblem(this.#parts.filter(part => part.watch.synced && part.watch.problem !== undefined))
    const heard = this.#parts.filter(part => part.watch.synced && part.watch.problem === undefined)
    return [
      // A resource that is heard has been allowed since.
      ...[...this.#refused]
        .filter(([right]) => !(right.verbs.includes('watch') && heard.some(part => part.resource === right.resource)))
        .map(([, problem]) => problem),
      ...away.map(({ names, problem }) => ({
        place: `API server ${this.#options.client.server}`,
        message: `${names}: ${problem}; what is known stays, and is brought up to date when it answers`,
      })),
      ...this.#parts.flatMap(part => part.problems()),
    ]
  }

  /** A daemon whose API server does not answer soon goes by what was known. */
  async #recall(signal: AbortSignal): Promise<void> {
    const { known, clock, log } = this.#options
    await Promise.race([pause(clock, RECALL_MS, signal), this.#synced.promise])
    if (known === undefined || signal.aborted || this.#pending.size === 0) return
    this.#recalled = await known.recall()
    if (this.#recalled !== undefined)
      log.warn(
        { since: this.#recalled.toISOString() },
        'the API server does not answer: what was known of the cluster counts',
      )
  }

  async #keep(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#synced.promise, aborted(signal)])
    if (!signal.aborted) await this.#options.known?.keep(signal)
  }

  /** Said at start, where it is not known yet what a refusal would mean, and until everything is allowed. */
  async #checkAccess(signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options
    let open: readonly Rights[] = [...this.#parts.map(part => watching(part.resource)), ...DAEMON_RIGHTS]
    signal.addEventListener('abort', this.#access.wake, { once: true })
    while (open.length > 0 && !signal.aborted) {
      this.#access.begin()
      const access = await askAccess(client, open, signal)
      for (const [right, problem] of access.refused)
        if (!this.#refused.has(right)) log.error({ right: problem.message }, 'cluster source: a right is missing')
      this.#refused = access.answered ? access.refused : new Map([...this.#refused, ...access.refused])
      // Of a server that did not say all is asked again.
      open = access.answered ? [...access.refused.keys()] : open
      if (open.length > 0 && !signal.aborted) await this.#access.until(clock.now() + ACCESS_MS)
    }
    this.#access.end()
    signal.removeEventListener('abort', this.#access.wake)
  }

  #makeParts(): readonly Part[] {
    const { nodeName, tables } = this.#options
    const { nodes, pods, services, endpointSlices, namespaces, networkPolicies, egressPolicies } = tables
    const keep = new Compactor()
    const own = { fieldSelector: `spec.nodeName=${nodeName}` }
    const query = { labelSelector: SERVED_SELECTOR }
    // A service without its endpoints is one that nobody serves, and a node without its NodeNetwork has other ranges.
    const first = new FirstTogether()
    const { cloudMachines, cloudNics, cloudBlocks } = tables
    const state: Group = { tables: [nodes, services, endpointSlices, cloudMachines, cloudNics, cloudBlocks] }
    const part = <T>(resource: ApiResource, parse: Collection<T>['parse'], target: RowTarget<T>, of?: Query): Part =>
      this.#part(state, { resource, parse, target: first.add(target), ...(of !== undefined && { query: of }) })
    return [
      part(RESOURCES.nodes, nodesOf(keep), this.#join.nodes),
      part(RESOURCES.nodeNetworks, networkOfNode(nodeName), this.#join.networks),
      part(RESOURCES.services, o => keep.service(parseService(o)), rowsOf(services), query),
      part(RESOURCES.endpointSlices, slicesOf(keep), rowsOf(endpointSlices), query),
      this.#rows(pods, { resource: RESOURCES.pods, query: own, parse: parsePod }),
      this.#rows(namespaces, { resource: RESOURCES.namespaces, extent: 'metadata', parse: parseNamespace }),
      this.#rows(networkPolicies, {
        resource: RESOURCES.networkPolicies,
        extent: 'metadata',
        parse: parseNetworkPolicy,
      }),
      this.#rows(egressPolicies, { resource: RESOURCES.egressPolicies, parse: parseEgressPolicy }),
    ]
  }

  #rows<T>(table: Table<T>, collection: Omit<Collection<T>, 'target'>): Part {
    return this.#part({ tables: [table] }, { ...collection, target: rowsOf(table) })
  }

  #part<T>(group: Group, collection: Collection<T>): Part {
    return { ...watchRows(this.#options, { ...collection, synced: () => this.#settle() }), group }
  }

  /** Tells the tables of which everything has been listed. */
  #settle(): void {
    // Who may list it now has perhaps been given more.
    this.#access.wake()
    for (const [group, tables] of this.#pending) {
      if (!this.#parts.every(part => part.watch.synced || part.group !== group)) continue
      this.#pending.delete(group)
      for (const done of tables) done()
    }
    if (this.#pending.size === 0) this.#synced.resolve()
  }
}

function nodesOf(keep: Compactor): typeof nodeWithUid {
  return object => {
    const of = nodeWithUid(object)
    return { ...of, row: keep.node(of.row) }
  }
}

function slicesOf(keep: Compactor): (object: ObjectField) => ReturnType<typeof parseEndpointSlice> {
  return object => {
    const row = parseEndpointSlice(object)
    return row === undefined ? undefined : keep.endpointSlice(row)
  }
}
