/**
 * Warnings of a daemon that become Events, at a bounded rate: a cluster in which something is wrong everywhere has thousands
 * of daemons that see it. Whoever warns does not wait, and what is too much is left out.
 */
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { Rest } from '../../state/rest.ts'
import { TokenBucket } from '../../state/token-bucket.ts'
import { ApiError } from './api-error.ts'
import type { ApiClient } from './client.ts'
import { AGAIN_MS, type EventObject, EventRecorder } from './events.ts'
import { remember } from './remember.ts'

export interface Warning {
  /** An empty uid is asked for: without one `kubectl describe` does not show the Event. */
  readonly object: EventObject
  /** One word in CamelCase, which programs test. */
  readonly reason: string
  /** For people; without numbers that change from one look to the next. */
  readonly message: string
}

export interface WarningsOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'patch'>
  readonly nodeName: string
  readonly log: Logger
  readonly clock: Clock
}

/** About one object as client-go has it (tools/record, `defaultSpamBurst` and `defaultSpamQPS`). */
const OF_OBJECT = { burst: 25, everyMs: 300_000 }
/** Of this daemon altogether. */
const OF_ALL = { burst: 25, everyMs: 1000 }
/** Those that wait, as client-go has it (`maxQueuedEvents`). */
const MOST_QUEUED = 1000
/** Objects and warnings that are remembered, as client-go has it (`maxLruCacheEntries`). */
const MOST_KNOWN = 4096

export class Warnings {
  readonly #options: WarningsOptions
  readonly #recorder: EventRecorder
  readonly #all: TokenBucket
  readonly #ofObject = new Map<string, TokenBucket>()
  /** When each was taken in. */
  readonly #taken = new Map<string, number>()
  readonly #queue: Warning[] = []
  readonly #rest: Rest

  constructor(options: WarningsOptions) {
    const { client, nodeName, log, clock } = options
    this.#options = options
    // What was said a while ago is known here, and when it was taken in is what counts.
    this.#recorder = new EventRecorder({ client, component: 'causeway', instance: nodeName, log, clock, againMs: 0 })
    this.#all = new TokenBucket(clock, OF_ALL)
    this.#rest = new Rest(clock)
  }

  /** Takes it in, unless it was said a while ago or there is too much of it. */
  warn(warning: Warning): void {
    const { clock } = this.#options
    const key = JSON.stringify(warning)
    const last = this.#taken.get(key)
    if (last !== undefined && clock.now() - last < AGAIN_MS) return
    if (this.#queue.length >= MOST_QUEUED || !this.#bucketOf(warning.object).take()) return
    remember(this.#taken, key, clock.now(), MOST_KNOWN)
    this.#queue.push(warning)
    this.#rest.wake()
  }

  /** Writes until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    signal.addEventListener('abort', this.#rest.wake, { once: true })
    while (!signal.aborted) {
      this.#rest.begin()
      if (this.#queue.length > 0 && this.#all.take()) await this.#write(this.#queue.shift(), signal)
      if (signal.aborted) break
      await this.#rest.until(this.#queue.length === 0 ? Infinity : clock.now() + this.#all.waitMs)
    }
    signal.removeEventListener('abort', this.#rest.wake)
    this.#rest.end()
  }

  #bucketOf({ resource, namespace, name, uid }: EventObject): TokenBucket {
    const key = JSON.stringify([resource.kind, namespace, name, uid])
    const bucket = this.#ofObject.get(key) ?? new TokenBucket(this.#options.clock, OF_OBJECT)
    remember(this.#ofObject, key, bucket, MOST_KNOWN)
    return bucket
  }

  async #write(warning: Warning | undefined, signal: AbortSignal): Promise<void> {
    if (warning === undefined) return
    const { object, reason, message } = warning
    const uid = object.uid === '' ? await this.#uidOf(object, signal) : object.uid
    if (uid !== undefined) await this.#recorder.warn({ ...object, uid }, reason, message, signal)
  }

  /** Undefined when there is no such object any more, or it cannot be found out. */
  async #uidOf({ resource, namespace, name }: EventObject, signal: AbortSignal): Promise<string | undefined> {
    try {
      const place = { name, ...(namespace !== '' && { namespace }) }
      const { metadata } = Object(await this.#options.client.get(resource, place, signal)) as {
        readonly metadata?: { readonly uid?: string }
      }
      return metadata?.uid ?? ''
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiError && error.missing))
        this.#options.log.warn({ object: name, error: messageOf(error) }, 'an Event could not be written')
      return undefined
    }
  }
}
