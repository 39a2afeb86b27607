/** The status of this node's NodeNetwork: what the operator, and people with kubectl, learn of its daemon. */
import type { Status } from '../../api/status.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { Rest } from '../../state/rest.ts'
import type { Tables } from '../../state/tables.ts'
import type { NodeFacts } from '../node-facts.ts'
import { ApiError } from './api-error.ts'
import { Backoff } from './backoff.ts'
import type { ApiClient } from './client.ts'
import { type Condition, type StatusUpdate, writeStatus } from './conditions.ts'
import type { OwnUids } from './node-join.ts'
import { RESOURCES } from './resources.ts'

export interface NodeReportOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly nodeName: string
  /** Undefined while this node has no Node. */
  readonly ownUids: () => OwnUids | undefined
  /** Of the running kernel. */
  readonly bootId: string
  readonly version: string
  readonly status: () => Pick<Status, 'ready' | 'waiting' | 'pools' | 'problems'>
  /** What other nodes need to reach this node's pods; told at once when it changes. */
  readonly facts: () => NodeFacts
  /** What the facts are made of. */
  readonly tables: Pick<Tables, 'nodes' | 'endpoints'>
  readonly log: Logger
  readonly clock: Clock
}

/** How soon a change of conditions is seen; the rest of a status, which changes with every pod, may be older. */
const LOOK_MS = 1000
/** The same while the source has not brought this node's Node. */
const NODE_MS = 100
const FIGURES_MS = 60_000
/** A message is read in a terminal. */
const LONGEST_MESSAGE = 1000

export class NodeReport {
  readonly #options: NodeReportOptions
  readonly #backoff: Backoff
  /** What was said last, and when. */
  #written: { readonly text: string; readonly facts: string; readonly atMs: number } | undefined
  #failing: string | undefined

  constructor(options: NodeReportOptions, random: () => number = Math.random) {
    this.#options = options
    this.#backoff = new Backoff(random)
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#options
    const rest = new Rest(clock)
    signal.addEventListener('abort', rest.wake, { once: true })
    let dueMs = clock.now()
    try {
      while (!signal.aborted) {
        rest.begin(tables.nodes.changed(), tables.endpoints.changed())
        // After a failure nothing is tried before its time.
        const news = this.#failing === undefined && this.#facts() !== this.#written?.facts
        if (news || clock.now() >= dueMs) dueMs = clock.now() + (await this.#look(signal))
        await rest.until(dueMs)
      }
    } finally {
      rest.end()
      signal.removeEventListener('abort', rest.wake)
    }
  }

  /** How long to wait before the next look. */
  async #look(signal: AbortSignal): Promise<number> {
    const { clock, log, client, nodeName } = this.#options
    const uids = this.#options.ownUids()
    if (uids === undefined) return NODE_MS
    const update = this.#update()
    const facts = this.#facts()
    const text = JSON.stringify([facts, update.conditions])
    const due = this.#written === undefined || clock.now() - this.#written.atMs >= FIGURES_MS
    if (!due && text === this.#written?.text) return LOOK_MS
    try {
      const guard = (network: unknown): void => requireOwn(network, nodeName, uids.node)
      await writeStatus(client, { resource: RESOURCES.nodeNetworks, name: nodeName }, { ...update, guard }, signal)
      this.#written = { text, facts, atMs: clock.now() }
      this.#backoff.succeeded()
      this.#failing = undefined
      return LOOK_MS
    } catch (error) {
      if (signal.aborted) return 0
      const why = missing(error) ? 'the operator has not made it yet' : messageOf(error)
      if (why !== this.#failing)
        log.warn({ node: nodeName, error: why }, 'the status of this node could not be written')
      this.#failing = why
      return this.#backoff.next(error instanceof ApiError ? error.retryAfterMs : 0)
    }
  }

  /** With the objects that they are told to: one that was made anew has none of them. */
  #facts(): string {
    return JSON.stringify([this.#options.facts(), this.#options.ownUids()])
  }

  #update(): StatusUpdate {
    const { status, facts, version, bootId } = this.#options
    const { ready, waiting, pools, problems: all } = status()
    // What is the same everywhere is the operator's to tell, and not at every node.
    const problems = all.filter(problem => problem.ofCluster !== true)
    const addresses = pools.map(({ pool, family, total, used }) => ({ pool, family: `IPv${family}`, total, used }))
    const conditions: Condition[] = [
      {
        type: 'Ready',
        status: ready ? 'True' : 'False',
        reason: ready ? 'DaemonReady' : 'DaemonWaits',
        message: ready ? 'pods can be started' : `waiting for ${waiting.join('; ')}`.slice(0, LONGEST_MESSAGE),
      },
      {
        type: 'Degraded',
        status: problems.length > 0 ? 'True' : 'False',
        reason: problems.length > 0 ? 'ProblemsFound' : 'NoProblems',
        message: problemText(problems),
      },
    ]
    return { conditions, fields: { version, bootId, addresses, ...facts() } }
  }
}

interface NodeOwned {
  readonly metadata?: { readonly ownerReferences?: readonly { readonly kind?: string; readonly uid?: string }[] }
}

/** A Node that was made anew under its name gets a NodeNetwork of its own: of the old one nothing is to be said. */
function requireOwn(network: unknown, node: string, uid: string): void {
  const { metadata } = Object(network) as NodeOwned
  const owner = metadata?.ownerReferences?.find(({ kind }) => kind === RESOURCES.nodes.kind)
  if (owner !== undefined && owner.uid !== uid)
    throw new Error(`NodeNetwork ${node} is of a Node of that name that is gone; the operator replaces it`)
}

function missing(error: unknown): boolean {
  return error instanceof ApiError && error.missing
}

function problemText(problems: Status['problems']): string {
  const [first] = problems
  if (first === undefined) return 'causeway status has nothing to report'
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more: causeway status)`
  return `${`${first.place}: ${first.message}`.slice(0, LONGEST_MESSAGE)}${more}`
}
