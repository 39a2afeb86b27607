/** Gives nodes their pod ranges: what `assign` wants is written to NodeNetworks, what it finds wrong is told. */
import { Backoff } from '../cluster/kubernetes/backoff.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { AGAIN_MS, type EventRecorder } from '../cluster/kubernetes/events.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { ObjectField } from '../cluster/object-field.ts'
import { messageOf } from '../errors.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { mapAtOnce } from '../state/map-at-once.ts'
import { Nudge } from '../state/nudge.ts'
import { type Assignment, assign, type PoolUse, type WantedNetwork } from './assign.ts'
import { type Foreign, ForeignOf } from './foreign.ts'
import { parseNetwork } from './parse.ts'
import type { NodeNetworkRow, OperatorTables } from './rows.ts'
import { ownerReference } from './strays.ts'

export interface PodRangesOptions {
  readonly client: Pick<ApiClient, 'create' | 'patch'>
  readonly tables: Pick<OperatorTables, 'nodes' | 'networks' | 'pools' | 'services' | 'serviceRanges' | 'cloudSubnets'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly log: Logger
  readonly clock: Clock
}

/** A range that was given back is not given again for so long: other nodes may still send there. */
const RESTING_MS = 60_000
/** Requests under way: the API server's own limit for one client is some tens (API Priority and Fairness). */
const AT_ONCE = 16

export class PodRanges {
  readonly #options: PodRangesOptions
  /** NodeNetworks that went, and since when. */
  readonly #resting = new Map<NodeNetworkRow, number>()
  #last: Assignment = { wanted: [], uses: [], starved: [], overlaps: [] }
  /** What could not be written, of the last attempt. */
  #failures: readonly string[] = []
  readonly #foreign: ForeignOf
  readonly #backoff = new Backoff(Math.random)
  /** Nudged when `uses` may have changed. */
  readonly changed = new Nudge()

  constructor(options: PodRangesOptions) {
    this.#options = options
    this.#foreign = new ForeignOf(options.tables)
  }

  /** For people: what is wrong now. */
  get problems(): readonly string[] {
    const { starved, overlaps } = this.#last
    return [
      ...starved.map(({ node, pool, family }) => `${noRange(pool, family)} (node ${node.name})`),
      ...overlaps.map(({ network, other, range }) => overlap(network.name, other, range)),
      ...this.#failures,
    ]
  }
  get uses(): readonly PoolUse[] {
    return this.#last.uses
  }
  /** What of others lies within pools, by their names. */
  get foreign(): ReadonlyMap<string, readonly Foreign[]> {
    return this.#foreign.get()
  }

  /** Until the signal aborts. All tables must hold the whole cluster: a range missing from them would be given twice. */
  async run(signal: AbortSignal): Promise<void> {
    const { nodes, networks, pools, services, serviceRanges, cloudSubnets } = this.#options.tables
    using gone = networks.follow('pod ranges')
    await eachChange(
      [nodes, networks, pools, services, serviceRanges, cloudSubnets],
      () => this.#act(gone.take().deleted, signal),
      signal,
      this.#options.clock,
    )
  }

  async #act(deleted: readonly NodeNetworkRow[], signal: AbortSignal): Promise<number | undefined> {
    const { tables, clock } = this.#options
    for (const row of deleted.filter(({ podCidrs }) => podCidrs.length > 0)) this.#resting.set(row, clock.now())
    for (const [row, since] of this.#resting) if (clock.now() - since >= RESTING_MS) this.#resting.delete(row)
    const foreign = [...this.foreign.values()].flat().map(({ prefix }) => prefix)
    this.#last = assign({ ...tables, resting: [...this.#resting.keys()], foreign })
    const failures = await mapAtOnce(this.#last.wanted, AT_ONCE, wanted => this.#write(wanted, signal))
    this.changed.nudge()
    await this.#warn(signal)
    const before = new Set(this.#failures)
    this.#failures = failures.filter(failure => failure !== undefined)
    for (const failure of this.#failures)
      if (!before.has(failure)) this.#options.log.warn({ failure }, 'pod ranges could not be written')
    if (this.#failures.length > 0) return this.#backoff.next()
    this.#backoff.succeeded()
    const { starved, overlaps } = this.#last
    if (starved.length > 0 && this.#resting.size > 0) return RESTING_MS
    // The API server forgets what it was told, and nothing else may change.
    return starved.length > 0 || overlaps.length > 0 ? AGAIN_MS : undefined
  }

  /** What it failed of; undefined when it is written. */
  async #write({ node, podCidrs, pool }: WantedNetwork, signal: AbortSignal): Promise<string | undefined> {
    const { client, tables, log } = this.#options
    const { name } = node
    const spec = { podCidrs, ...(pool !== '' && { pool }) }
    try {
      const have = tables.networks.get(name)
      // One that was changed or made by somebody else meanwhile is refused, and comes by the watch.
      const written =
        have === undefined
          ? await client.create(
              RESOURCES.nodeNetworks,
              {},
              { metadata: { name, ownerReferences: [ownerReference(node)] }, spec },
              signal,
            )
          : await client.patch(RESOURCES.nodeNetworks, { name, patch: { metadata: { uid: have.uid }, spec } }, signal)
      this.#take(parseNetwork(new ObjectField(written, () => `NodeNetwork ${name}`)), have)
      if (podCidrs.length > 0) log.info({ node: name, podCidrs: podCidrs.join(', '), pool }, 'pod ranges assigned')
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      return `NodeNetwork ${name}: ${messageOf(error)}`
    }
  }

  /**
   * The table has what was written before the next plan is made, which would give it twice. What the watch has told
   * meanwhile of the object is newer, and is not told again.
   */
  #take(written: NodeNetworkRow, before: NodeNetworkRow | undefined): void {
    const { networks } = this.#options.tables
    const now = networks.get(written.name)
    const { podCidrs, pool } = written
    if (now === undefined && before === undefined) networks.put(written)
    else if (now?.uid === written.uid) networks.put({ ...now, podCidrs, pool })
  }

  async #warn(signal: AbortSignal): Promise<void> {
    const { events } = this.#options
    await mapAtOnce(this.#last.starved, AT_ONCE, async ({ node, pool, family }) => {
      const object = { resource: RESOURCES.nodes, name: node.name, namespace: '', uid: node.uid }
      await events.warn(object, 'NoPodRange', noRange(pool, family), signal)
    })
    await mapAtOnce(this.#last.overlaps, AT_ONCE, async ({ network, other, range }) => {
      const object = { resource: RESOURCES.nodeNetworks, name: network.name, namespace: '', uid: network.uid }
      await events.warn(object, 'PodRangeOverlaps', overlap(network.name, other, range), signal)
    })
  }
}

function noRange(pool: string, family: 4 | 6): string {
  return `IPPool ${pool} has no IPv${family} range left: add one to its spec.cidrs`
}

function overlap(name: string, other: string, range: Prefix): string {
  return `${range} of NodeNetwork ${name} is also in NodeNetwork ${other}: drain the node and delete NodeNetwork ${name}`
}
