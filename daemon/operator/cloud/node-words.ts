/**
 * What nodes are told of their addresses when nothing else of them changes: why no more come, in their NodeNetwork's
 * condition and in an Event on the Node. Looked at once a second, for time alone changes it, too.
 */
import type { CloudProvider } from '../../../plugins/cloud-core/provider.ts'
import { writeStatus } from '../../cluster/kubernetes/conditions.ts'
import { ApiError } from '../../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../../cluster/kubernetes/client.ts'
import { AGAIN_MS, type EventRecorder } from '../../cluster/kubernetes/events.ts'
import { RESOURCES } from '../../cluster/kubernetes/resources.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { eachChange } from '../../state/each-change.ts'
import { mapAtOnce } from '../../state/map-at-once.ts'
import { Nudge } from '../../state/nudge.ts'
import type { OperatorTables } from '../rows.ts'
import type { Allocator, CloudNode } from './allocator.ts'
import { type Availability, availabilityOf, Held, isBad } from './availability.ts'

export interface NodeWordsOptions {
  readonly provider: CloudProvider
  readonly allocator: Pick<Allocator, 'fleet' | 'unlimited'>
  /** Nodes that take part. */
  readonly nodes: ReadonlyMap<string, CloudNode>
  readonly tables: Pick<OperatorTables, 'nodes' | 'cloudNetworks'>
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly events: Pick<EventRecorder, 'warn'>
  readonly log: Logger
  readonly clock: Clock
  /** What a node is to be told with its addresses has changed. */
  readonly changed: (name: string) => void
}

const CONDITION = 'AddressesAvailable'
const LOOK_MS = 1000
const AT_ONCE = 16
/** Words of a cloud differ from one answer to the next; while the reason stays they are written no more often. */
const WORDS_MS = 60_000
const LONGEST_MESSAGE = 1000

export class NodeWords {
  /** Nudged when what nodes can give has changed. */
  readonly marked = new Nudge()
  readonly #options: NodeWordsOptions
  readonly #held = new Held()
  /** What was written last. */
  readonly #written = new Map<string, Written>()
  readonly #failing = new Map<string, string>()

  constructor(options: NodeWordsOptions) {
    this.#options = options
  }

  /** Undefined before it is known. */
  get(name: string): Availability | undefined {
    return this.#held.get(name)
  }

  /** For `spec.cloud.shortage`: why a pod that comes gets nothing, however long it waits; else empty. */
  shortage(name: string): string {
    const said = this.#held.get(name)
    return said !== undefined && isBad(said) && said.empty && said.lasting ? said.message.slice(0, LONGEST_MESSAGE) : ''
  }

  /** For people: what could not be written. */
  get problems(): readonly { readonly place: string; readonly message: string }[] {
    return [...this.#failing].map(([name, message]) => ({ place: `NodeNetwork ${name}`, message }))
  }

  async run(signal: AbortSignal): Promise<void> {
    await eachChange([], () => this.#look(signal), signal, this.#options.clock)
  }

  async #look(signal: AbortSignal): Promise<number> {
    const { nodes, changed } = this.#options
    let marked = false
    for (const node of nodes.values()) {
      const before = this.#held.get(node.name)
      const shortage = this.shortage(node.name)
      const now = this.#judge(node)
      if (before?.most !== now.most || before?.empty !== now.empty || before.reason !== now.reason) marked = true
      if (this.shortage(node.name) !== shortage) changed(node.name)
    }
    if (marked) this.marked.nudge()
    for (const name of this.#failing.keys()) if (!nodes.has(name)) this.#failing.delete(name)
    const due = [...nodes.values()].flatMap(node => this.#dueOf(node) ?? [])
    await mapAtOnce(due, AT_ONCE, each => this.#tell(each, signal))
    return LOOK_MS
  }

  /** A node that does not take part any more. */
  delete(name: string): void {
    this.#held.delete(name)
    this.#written.delete(name)
  }

  #judge(node: CloudNode): Availability {
    const { provider, allocator, clock } = this.#options
    const { fleet, unlimited } = allocator
    const [{ name, of: machine, subnets }, nowMs] = [node, Math.floor(clock.now())]
    const state = fleet.state(name)
    if (state === undefined) throw new RangeError(`node ${name} takes part and the fleet does not have it`)
    const circumstances = {
      provider: provider.name,
      machine,
      state,
      subnets,
      shortage: () => fleet.shortage(name, nowMs),
      unlimited: unlimited.get(name),
      mode: fleet.mode(nowMs),
      failing: fleet.failure,
    }
    return this.#held.put(name, availabilityOf(circumstances, nowMs), nowMs)
  }

  /** What is to be written, if anything is. Of a node that nothing is known of yet nothing is said, good or bad. */
  #dueOf(node: CloudNode): Due | undefined {
    const said = this.#held.get(node.name)
    const uid = this.#options.tables.cloudNetworks.get(node.name)?.uid
    if (said === undefined || uid === undefined || (!isBad(said) && said.most === undefined)) return undefined
    const last = this.#written.get(node.name)
    const ageMs = last?.uid === uid ? this.#options.clock.now() - last.atMs : Infinity
    if (last === undefined || ageMs >= AGAIN_MS)
      return isBad(said) || last?.uid !== uid ? { node, uid, said } : undefined
    const [same, sameReason] = [last.message === said.message, last.reason === said.reason]
    return (!same && ageMs >= WORDS_MS) || (!sameReason && !last.failed) ? { node, uid, said } : undefined
  }

  async #tell({ node, uid, said }: Due, signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options
    const { reason } = said
    const message = said.message.slice(0, LONGEST_MESSAGE)
    if (isBad(said)) await this.#warn(node, reason, message, signal)
    const condition = { type: CONDITION, status: isBad(said) ? 'False' : 'True', reason, message } as const
    const guard = (found: unknown): void => requireSame(found, uid)
    try {
      const place = { resource: RESOURCES.nodeNetworks, name: node.name }
      await writeStatus(client, place, { conditions: [condition], guard }, signal)
      this.#written.set(node.name, { uid, reason, message: said.message, failed: false, atMs: clock.now() })
      this.#failing.delete(node.name)
    } catch (error) {
      signal.throwIfAborted()
      // Not again at once: an API server that refuses has enough to do.
      this.#written.set(node.name, { uid, reason, message: '', failed: true, atMs: clock.now() })
      if (error instanceof ApiError && error.missing) return
      const why = messageOf(error)
      if (this.#failing.get(node.name) !== why)
        log.warn({ node: node.name, error: why }, 'what a node lacks could not be written to its NodeNetwork')
      this.#failing.set(node.name, why)
    }
  }

  async #warn(
    { name, uid }: CloudNode,
    reason: Availability['reason'],
    message: string,
    signal: AbortSignal,
  ): Promise<void> {
    const object = { resource: RESOURCES.nodes, name, namespace: '', uid }
    await this.#options.events.warn(object, reason, message, signal)
  }
}

interface Due {
  readonly node: CloudNode
  /** Of the NodeNetwork. */
  readonly uid: string
  readonly said: Availability
}

interface Written {
  readonly uid: string
  readonly reason: Availability['reason']
  readonly message: string
  readonly failed: boolean
  readonly atMs: number
}

/** One of the same name that was made since is told by itself. */
function requireSame(found: unknown, uid: string): void {
  const { metadata } = Object(found) as { readonly metadata?: { readonly uid?: string } }
  if (metadata?.uid !== uid) throw new Error('it was made anew')
}
