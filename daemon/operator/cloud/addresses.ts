/**
 * Addresses from the cloud for all nodes: brings Nodes and NodeNetworks to the allocator, and what it publishes to
 * NodeNetworks. A node takes part once its Node says which machine it is and its NodeNetwork has been made.
 */
import { isDeepStrictEqual } from 'node:util'
import type { CallKind } from '../../../plugins/cloud-core/model.ts'
import { NOTHING_PUBLISHED, type Published } from '../../../plugins/cloud-core/node-state.ts'
import type { Machine } from '../../../plugins/cloud-core/provider.ts'
import type { CloudSetup } from '../../../plugins/cloud-core/setup.ts'
import type { ApiClient } from '../../cluster/kubernetes/client.ts'
import type { EventRecorder } from '../../cluster/kubernetes/events.ts'
import { RESOURCES } from '../../cluster/kubernetes/resources.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { eachChange } from '../../state/each-change.ts'
import { Nudge } from '../../state/nudge.ts'
import { replaceRows } from '../../state/replace.ts'
import type { ClusterNodeRow, OperatorTables } from '../rows.ts'
import { Allocator, type CloudNode } from './allocator.ts'
import { type CloudFigures, cloudFigures } from './figures.ts'
import { type IpamStatus, ipamStatus } from './ipam-status.ts'
import { type CloudPart, cloudSpecOf } from './cloud-network.ts'
import { isBad } from './availability.ts'
import type { CloudMeter } from './metrics.ts'
import { NO_MARKS, type NodeMarks } from './node-marks.ts'
import { NodeWords } from './node-words.ts'

export interface CloudAddressesOptions {
  readonly setup: CloudSetup
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly tables: Pick<OperatorTables, 'nodes' | 'cloudNetworks' | 'cloudSubnets'>
  readonly log: Logger
  readonly clock: Clock
  readonly meter?: CloudMeter | undefined
  /** As of the Allocator. */
  readonly mayChange?: (() => boolean) | undefined
}

const SWEEP_MS = 120_000
const FIGURES_MS = 500

export class CloudAddresses {
  readonly allocator: Allocator
  readonly #options: CloudAddressesOptions
  /** Nodes that take part, as the allocator has them. */
  readonly #joined = new Map<string, CloudNode>()
  /** Nodes that are no machines of the cloud. */
  #strangers: ReadonlySet<string> = new Set()
  /** What each node said last, so that it is not told again. */
  readonly #said = new Map<string, unknown>()
  #problems: readonly { readonly place: string; readonly message: string }[] = []
  readonly #swept = new Nudge()
  readonly #words: NodeWords
  #figures: { readonly atMs: number; readonly figures: CloudFigures } | undefined
  /** The shortage that stands in each NodeNetwork, or is on its way there. */
  readonly #shortages = new Map<string, string>()

  constructor(options: CloudAddressesOptions) {
    this.#options = options
    const { setup, log, clock, meter } = options
    const apiOf = (kind: CallKind | 'sweep' | 'limits'): string =>
      kind === 'limits' ? 'limits' : setup.provider.budget(kind).name
    this.allocator = new Allocator({
      provider: setup.provider,
      publish: (node, published, signal) => this.#publish(node, published, signal),
      sweepMs: SWEEP_MS,
      mayChange: options.mayChange,
      log,
      clock,
      onCall: made => {
        if (made.kind === 'sweep') this.#swept.nudge()
        meter?.called(apiOf(made.kind), made.failure, made.ms)
      },
      onTurn: (kind, waitedMs) => meter?.waited(apiOf(kind), waitedMs),
      onCollected: () => meter?.collected(),
    })
    this.#words = new NodeWords({
      ...options,
      provider: setup.provider,
      allocator: this.allocator,
      nodes: this.#joined,
      changed: name => this.#shortageChanged(name),
    })
  }

  /** For people: nodes that cannot take part. */
  get problems(): readonly { readonly place: string; readonly message: string }[] {
    const { provider } = this.#options.setup
    const { failure } = this.allocator.fleet
    const missing = this.allocator.missing.map(message => ({ place: provider.name, message }))
    const unwritten = this.#words.problems
    return [
      ...this.#problems,
      ...missing,
      ...unwritten,
      ...(failure ? [{ place: provider.name, message: failure.message }] : []),
    ]
  }

  status(): IpamStatus {
    const { setup, clock } = this.#options
    const said = (node: string) => this.#words.get(node)
    return ipamStatus(setup.provider.name, this.allocator.fleet, said, Math.floor(clock.now()))
  }

  /** In numbers; those that are asked for one after another are one look. */
  figures(): CloudFigures {
    const { setup, clock } = this.#options
    const nowMs = Math.floor(clock.now())
    if (this.#figures !== undefined && nowMs - this.#figures.atMs < FIGURES_MS) return this.#figures.figures
    const { fleet, prefixes, beganMs } = this.allocator
    const apiOf = (kind: CallKind): string => setup.provider.budget(kind).name
    const said = (node: string) => this.#words.get(node)?.reason
    const figures = cloudFigures({ fleet, apiOf, prefixes, beganMs, said }, nowMs)
    this.#figures = { atMs: nowMs, figures }
    return figures
  }

  /** What the scheduler is to be told of a node; undefined while it is not known. */
  marks(name: string): NodeMarks | undefined {
    if (this.#strangers.has(name)) return NO_MARKS
    const said = this.#words.get(name)
    if (said?.most === undefined) return undefined
    return { capacity: said.most, exhausted: said.empty && isBad(said) }
  }

  /** When `marks` may say something else. */
  get marked(): Pick<Nudge, 'changed'> {
    return this.#words.marked
  }

  /** Until the signal aborts. The tables must hold the whole cluster. */
  async run(signal: AbortSignal): Promise<void> {
    const { nodes, cloudNetworks } = this.#options.tables
    this.#follow()
    try {
      await Promise.all([
        this.allocator.run(signal),
        this.#words.run(signal),
        eachChange([nodes, cloudNetworks, this.#swept], () => this.#follow(), signal),
      ])
    } finally {
      await this.#options.setup.provider.close?.()
    }
  }

  #follow(): void {
    const { tables, setup } = this.#options
    const problems: { place: string; message: string }[] = []
    const strangers = new Set<string>()
    for (const node of tables.nodes.values()) {
      const machine = setup.machineOf(node)
      const cloud = tables.cloudNetworks.get(node.name)?.cloud
      if (typeof machine === 'string') {
        problems.push({ place: `node ${node.name}`, message: machine })
        strangers.add(node.name)
      }
      if (typeof cloud === 'string') problems.push({ place: `NodeNetwork ${node.name}`, message: cloud })
      if (typeof machine === 'string' || cloud === undefined || typeof cloud === 'string') this.#leave(node.name)
      else this.#join(node, machine, cloud)
    }
    for (const name of this.#joined.keys()) if (tables.nodes.get(name) === undefined) this.#leave(name)
    const subnets = [...this.allocator.fleet.subnets.seen.values()]
    replaceRows(
      tables.cloudSubnets,
      subnets.map(({ id, cidrs }) => ({ id, cidrs })),
    )
    this.#problems = problems
    this.#strangers = strangers
  }

  #join(row: ClusterNodeRow, of: Machine, cloud: CloudPart): void {
    const { name, uid } = row
    const subnets = this.#subnetsFor(of)
    const node: CloudNode = { name, uid, machine: of.id, policy: this.#options.setup.policyOf(row), subnets, of }
    if (!isDeepStrictEqual(this.#joined.get(name), node)) {
      this.#joined.set(name, node)
      // What was published for another machine of the name is nothing to this one.
      const before = cloud.machine === of.id ? cloud.published : undefined
      this.#shortages.set(name, cloud.machine === of.id ? cloud.shortage : '')
      this.allocator.put(node, before ?? NOTHING_PUBLISHED)
    }
    if (cloud.demand === undefined || isDeepStrictEqual(this.#said.get(name), cloud.demand)) return
    this.#said.set(name, cloud.demand)
    this.allocator.demand(name, cloud.demand)
  }

  /** Where new interfaces of a machine may be: no cloud attaches one of another zone. */
  #subnetsFor(machine: Machine): readonly string[] {
    const chosen = this.#options.setup.provider.choices?.(machine)
    const all = [...this.allocator.fleet.subnets.seen.values()]
    const seen = all.filter(({ zone }) => zone === '' || zone === machine.zone)
    return seen.filter(({ id, forNics }) => chosen?.includes(id) ?? forNics).map(({ id }) => id)
  }

  #leave(name: string): void {
    if (!this.#joined.delete(name)) return
    this.#said.delete(name)
    this.#shortages.delete(name)
    this.#words.delete(name)
    this.allocator.delete(name)
  }

  async #publish(name: string, published: Published, signal: AbortSignal): Promise<void> {
    const { client, tables, setup } = this.#options
    const { uid } = tables.cloudNetworks.get(name) ?? {}
    const machine = this.#joined.get(name)?.machine
    // A node that has gone meanwhile needs to know nothing.
    if (uid === undefined || machine === undefined) throw new Error(`node ${name} is gone`)
    const shortage = this.#words.shortage(name)
    this.#shortages.set(name, shortage)
    const cloud = cloudSpecOf(
      published,
      { provider: setup.provider.name, machine, shortage },
      this.allocator.fleet.subnets.seen,
    )
    await client.patch(RESOURCES.nodeNetworks, { name, patch: { metadata: { uid }, spec: { cloud } } }, signal)
  }

  /** What could not be written is written again in any case, with what is true then. */
  #shortageChanged(name: string): void {
    if (this.#shortages.get(name) !== this.#words.shortage(name)) this.allocator.republish(name)
  }
}
