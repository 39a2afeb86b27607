/**
 * `status.cloudAddresses` of this node's NodeNetwork: what its pods need, which the operator answers with addresses. Pods
 * wait meanwhile, so it goes out by itself, at once, and not with the rest of the status.
 */
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import type { CloudReportRow } from '../../state/cloud-rows.ts'
import { Rest } from '../../state/rest.ts'
import type { Tables } from '../../state/tables.ts'
import { ApiError } from './api-error.ts'
import { Backoff } from './backoff.ts'
import type { ApiClient } from './client.ts'
import { writeStatus } from './conditions.ts'
import type { OwnUids } from './node-join.ts'
import { RESOURCES } from './resources.ts'

export interface CloudReportOptions {
  readonly client: Pick<ApiClient, 'get' | 'patch'>
  readonly nodeName: string
  /** Undefined while this node has no Node. */
  readonly ownUids: () => OwnUids | undefined
  /** `nodes` tells of a NodeNetwork that was made anew. */
  readonly tables: Pick<Tables, 'cloudReports' | 'cloudMachines' | 'nodes'>
  readonly log: Logger
  readonly clock: Clock
}

/** What changes within this time of a first change goes with it: pods come together. */
const GATHER_MS = 20
/** Between two writes while it goes on changing. */
const PACE_MS = 250
/** Said again after so long, in case somebody has taken it away. */
const AGAIN_MS = 300_000

/** As the object has it, members in the order of the API server's. */
interface CloudAddresses {
  readonly demand: readonly object[]
  readonly drained: readonly object[]
  readonly idle: readonly string[]
}

/** What is to be said, and of which object. */
interface Said {
  readonly uid: string
  readonly value: CloudAddresses
}

export class CloudReport {
  readonly #options: CloudReportOptions
  readonly #backoff: Backoff
  #written: (Said & { readonly atMs: number }) | undefined
  /** When what is to be said was first seen to differ from what was said; undefined while it does not. */
  #changedMs: number | undefined
  #notBeforeMs = 0
  #failing: string | undefined

  constructor(options: CloudReportOptions, random: () => number = Math.random) {
    this.#options = options
    this.#backoff = new Backoff(random)
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#options
    const rest = new Rest(clock)
    signal.addEventListener('abort', rest.wake, { once: true })
    try {
      while (!signal.aborted) {
        rest.begin(tables.cloudReports.changed(), tables.cloudMachines.changed(), tables.nodes.changed())
        const dueMs = this.#due()
        if (dueMs > clock.now()) await rest.until(dueMs)
        else await this.#write(signal)
      }
    } finally {
      rest.end()
      signal.removeEventListener('abort', rest.wake)
    }
  }

  /** When the next write is due; infinite while there is nothing to say, or nobody to say it of. */
  #due(): number {
    const nowMs = this.#options.clock.now()
    const say = this.#say()
    if (say === undefined) return Infinity
    const written = this.#written
    const same = written !== undefined && written.uid === say.uid && isDeepStrictEqual(written.value, say.value)
    if (same) {
      this.#changedMs = undefined
      return Math.max(written.atMs + AGAIN_MS, this.#notBeforeMs)
    }
    this.#changedMs ??= nowMs
    return Math.max(this.#changedMs + GATHER_MS, this.#notBeforeMs)
  }

  #say(): Said | undefined {
    const { tables, ownUids } = this.#options
    const [row] = tables.cloudReports.values()
    const uid = ownUids()?.network ?? ''
    // What answers the spec of an object that is gone is not said of the one in its place.
    if (row === undefined || uid === '' || (row.network !== '' && row.network !== uid)) return undefined
    return { uid, value: valueOf(row) }
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { client, clock, nodeName, log } = this.#options
    const say = this.#say()
    if (say === undefined) return
    const atMs = clock.now()
    this.#changedMs = undefined
    this.#notBeforeMs = atMs + PACE_MS
    try {
      await this.#patch(client, say, signal)
      this.#written = { ...say, atMs }
      this.#backoff.succeeded()
      this.#failing = undefined
    } catch (error) {
      if (signal.aborted) return
      const why = messageOf(error)
      if (why !== this.#failing)
        log.warn({ node: nodeName, error: why }, 'what this node needs of the cloud could not be told to the operator')
      this.#failing = why
      this.#notBeforeMs = clock.now() + this.#backoff.next(error instanceof ApiError ? error.retryAfterMs : 0)
    }
  }

  /** One request: the object must be the one that is meant. One that has no status yet is looked at first. */
  async #patch(client: CloudReportOptions['client'], { uid, value }: Said, signal: AbortSignal): Promise<void> {
    const name = this.#options.nodeName
    const patch = [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'add', path: '/status/cloudAddresses', value },
    ]
    try {
      await client.patch(RESOURCES.nodeNetworks, { name, subresource: 'status', type: 'json', patch }, signal)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === UNPROCESSABLE)) throw error
      const update = { conditions: [], fields: { cloudAddresses: value }, guard: requireUid(name, uid) }
      await writeStatus(client, { resource: RESOURCES.nodeNetworks, name }, update, signal)
    }
  }
}

/** A step of a JSON patch could not be done, or a test failed (RFC 6902 section 5). */
const UNPROCESSABLE = 422

function requireUid(name: string, uid: string): (object: unknown) => void {
  return object => {
    const { metadata } = Object(object) as { readonly metadata?: { readonly uid?: string } }
    if (metadata?.uid !== uid) throw new Error(`NodeNetwork ${name} was made anew meanwhile`)
  }
}

function valueOf({ demand, drained, idle }: CloudReportRow): CloudAddresses {
  return {
    demand: demand.map(({ family, assigned, waiting, cooling }) => ({
      assigned,
      cooling,
      family: `IPv${family}`,
      waiting,
    })),
    drained: drained.map(({ block, born }) => ({ block, born })),
    idle,
  }
}
