/** Gives nodes their pod ranges: what `assign` wants is written to NodeNetworks, what it finds wrong is told. */
import { writeStatus } from '../cluster/kubernetes/conditions.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import type { EventRecorder } from '../cluster/kubernetes/events.ts'
import { apiVersionOf, RESOURCES } from '../cluster/kubernetes/resources.ts'
import { ObjectField } from '../cluster/object-field.ts'
import { messageOf } from '../errors.ts'
import type { Prefix } from '../kernel/kernel.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { eachChange } from '../state/each-change.ts'
import { mapAtOnce } from '../state/map-at-once.ts'
import { type Assignment, assign, type PoolUse, type WantedNetwork } from './assign.ts'
import { parseNetwork } from './parse.ts'
import type { NodeNetworkRow, OperatorTables } from './rows.ts'

export interface PodRangesOptions {
  readonly client: ApiClient
  readonly tables: Pick<OperatorTables, 'nodes' | 'networks' | 'pools'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly log: Logger
  readonly clock: Clock
}

/** A range that was given back is not given again for so long: other nodes may still send there. */
const RESTING_MS = 60_000
const RETRY_MS = 2000
/** Requests under way: the API server's own limit for one client is some tens (API Priority and Fairness). */
const AT_ONCE = 16

export class PodRanges {
  readonly #options: PodRangesOptions
  /** Ranges that were given back, and since when. */
  readonly #resting = new Map<Prefix, number>()
  #last: Assignment = { wanted: [], uses: [], starved: [], overlaps: [] }
  /** What could not be written, of the last attempt. */
  #failures: readonly string[] = []

  constructor(options: PodRangesOptions) {
    this.#options = options
  }

  /** For people: what is wrong now. */
  get problems(): readonly string[] {
    const { starved, overlaps, uses } = this.#last
    return [
      ...starved.map(({ node, pool, family }) => `${noRange(pool, family)} (node ${node.name})`),
      ...overlaps.map(({ network, other, range }) => overlap(network.name, other, range)),
      ...uses.flatMap(({ pool, conflict }) => (conflict === undefined ? [] : [`pool ${pool.name}: ${conflict}`])),
      ...this.#failures,
    ]
  }
  get uses(): readonly PoolUse[] {
    return this.#last.uses
  }

  /** Until the signal aborts. All tables must hold the whole cluster: a range missing from them would be given twice. */
  async run(signal: AbortSignal): Promise<void> {
    const { nodes, networks, pools } = this.#options.tables
    using gone = networks.follow('pod ranges')
    await eachChange([nodes, networks, pools], () => this.#act(gone.take().deleted, signal), signal)
  }

  async #act(deleted: readonly NodeNetworkRow[], signal: AbortSignal): Promise<number | undefined> {
    const { tables, clock } = this.#options
    for (const range of deleted.flatMap(row => row.podCidrs)) this.#resting.set(range, clock.now())
    for (const [range, since] of this.#resting) if (clock.now() - since >= RESTING_MS) this.#resting.delete(range)
    this.#last = assign({ ...tables, resting: [...this.#resting.keys()] })
    const failures = await mapAtOnce(this.#last.wanted, AT_ONCE, wanted => this.#write(wanted, signal))
    const told = await mapAtOnce(this.#last.uses, AT_ONCE, use => this.#tell(use, signal))
    await this.#warn(signal)
    this.#failures = [...failures, ...told].filter(failure => failure !== undefined)
    if (this.#failures.length > 0) return RETRY_MS
    return this.#last.starved.length > 0 && this.#resting.size > 0 ? RESTING_MS : undefined
  }

  /** What it failed of; undefined when it is written. The table has it before the next plan is made. */
  async #write({ node, podCidrs, pool }: WantedNetwork, signal: AbortSignal): Promise<string | undefined> {
    const { client, tables, log } = this.#options
    const { name, uid } = node
    const spec = { podCidrs, ...(pool !== '' && { pool }) }
    try {
      const have = tables.networks.get(name)
      // One that was changed or made by somebody else meanwhile is refused, and comes by the watch.
      const written =
        have === undefined
          ? await client.create(RESOURCES.nodeNetworks, {}, { metadata: { name, ...ownedBy(name, uid) }, spec }, signal)
          : await client.patch(RESOURCES.nodeNetworks, { name, patch: { metadata: { uid: have.uid }, spec } }, signal)
      tables.networks.put(parseNetwork(new ObjectField(written, () => `NodeNetwork ${name}`)))
      if (podCidrs.length > 0) log.info({ node: name, podCidrs: podCidrs.join(', '), pool }, 'pod ranges assigned')
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ node: name, error }, 'pod ranges could not be written')
      return `NodeNetwork ${name}: ${messageOf(error)}`
    }
  }

  async #tell({ pool, nodes, free, conflict }: PoolUse, signal: AbortSignal): Promise<string | undefined> {
    const usable = conflict === undefined
    const conditions = [
      {
        type: 'Ready',
        status: usable ? 'True' : 'False',
        reason: usable ? 'RangesUsable' : 'RangesOverlap',
        message: conflict ?? 'ranges are given to the nodes that it selects',
      },
      {
        type: 'Exhausted',
        status: free === 0 ? 'True' : 'False',
        reason: free === 0 ? 'NoRangeLeft' : 'RangesLeft',
        message: free === 0 ? 'every range is given: add another to spec.cidrs' : 'there are ranges left',
      },
    ] as const
    try {
      await writeStatus(
        this.#options.client,
        { resource: RESOURCES.ipPools, name: pool.name },
        { conditions, fields: { nodes, free } },
        signal,
      )
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      return `IPPool ${pool.name}: ${messageOf(error)}`
    }
  }

  async #warn(signal: AbortSignal): Promise<void> {
    const { events } = this.#options
    for (const { node, pool, family } of this.#last.starved) {
      const object = { resource: RESOURCES.nodes, name: node.name, namespace: '', uid: node.uid }
      await events.warn(object, 'NoPodRange', noRange(pool, family), signal)
    }
    for (const { network, other, range } of this.#last.overlaps) {
      const object = { resource: RESOURCES.nodeNetworks, name: network.name, namespace: '', uid: network.uid }
      await events.warn(object, 'PodRangeOverlaps', overlap(network.name, other, range), signal)
    }
    for (const { pool, conflict } of this.#last.uses) {
      const object = { resource: RESOURCES.ipPools, name: pool.name, namespace: '', uid: pool.uid }
      if (conflict !== undefined)
        await events.warn(object, 'RangesOverlap', `${conflict}; the pool is not used`, signal)
    }
  }
}

/** The NodeNetwork goes when its Node does. */
function ownedBy(name: string, uid: string): object {
  const { nodes } = RESOURCES
  return { ownerReferences: [{ apiVersion: apiVersionOf(nodes), kind: nodes.kind, name, uid }] }
}

function noRange(pool: string, family: 4 | 6): string {
  return `IPPool ${pool} has no IPv${family} range left: add one to its spec.cidrs`
}

function overlap(name: string, other: string, range: Prefix): string {
  return `${range} of NodeNetwork ${name} is also in NodeNetwork ${other}: drain the node and delete NodeNetwork ${name}`
}
