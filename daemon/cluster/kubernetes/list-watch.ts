/**
 * Keeps a sink in step with a collection of the API server: a whole state first, then each change. What a connection
 * cannot tell of itself is seen to here: a watch that says nothing for too long is opened anew, a version that the server
 * has forgotten leads to a new whole state, and a state older than one seen before counts for nothing.
 */
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { Rest } from '../../state/rest.ts'
import { ApiError, ApiUnreachable } from './api-error.ts'
import { Backoff } from './backoff.ts'
import type { ApiClient, Extent, Query } from './client.ts'
import type { ApiResource } from './resources.ts'
import { resourceName } from './resources.ts'
import { isOlder, nameAndVersion } from './resource-version.ts'

/** Takes what a collection holds. Objects are the sender's own form and have been checked by nobody. */
export interface Sink {
  /** A whole state comes: what is not put before `finish` is gone then. A state that was begun and not finished is void. */
  begin(): void
  put(object: unknown): void
  finish(): void
  /** Changes, between whole states. */
  change(object: unknown): void
  remove(object: unknown): void
}

export interface ListWatchOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch' | 'onConnected'>
  readonly resource: ApiResource
  /** Which of its objects; `fieldSelector` and `labelSelector`. */
  readonly query?: Query
  /** How much the sink reads of each; whole objects unless given. */
  readonly extent?: Extent
  readonly sink: Sink
  /** Called after the first whole state has been taken in. */
  readonly synced?: () => void
  readonly log: Logger
  readonly clock: Clock
  readonly random?: () => number
  /** A watch that says nothing for so long is opened anew; servers send a bookmark about every minute. */
  readonly idleMs: number
  /** Why each attempt but the first was made, for a metric. */
  readonly restarted?: (reason: string) => void
  readonly received?: (bytes: number) => void
}

/** Servers end watches after a time of their own, too; each of ours is another length, so that they do not end together. */
const WATCH_SECONDS = [300, 600] as const
/** From then on a server that only has older states is believed: its store was restored from a backup. */
const OLDER_BELIEVED_MS = 60_000
/** What ends sooner has not worked: a server, or something in front of it, that takes watches and drops them. */
const SHORT_MS = 1000
/** What has worked for so long is no reason to wait when it breaks. */
const STEADY_MS = 10_000
const INITIAL_END = 'k8s.io/initial-events-end'

export class ListWatch {
  readonly #options: ListWatchOptions
  readonly #backoff: Backoff
  readonly #random: () => number
  /** Where the watch goes on; undefined: with a whole state. */
  #version: string | undefined
  /** Of everything that was seen. */
  #newest: string | undefined
  #olderSince: number | undefined
  /** The server has no streamed lists (KEP-3157). */
  #paged = false
  /** The server answers that it has never been so far. */
  #anyVersion = false
  #synced = false
  /** When the attempt that runs began. */
  #beganMs = 0
  #problem: string | undefined
  /** The last attempt found no server, or lost its connection. */
  #unreachable = false

  constructor(options: ListWatchOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
    this.#backoff = new Backoff(this.#random)
  }

  get name(): string {
    return resourceName(this.#options.resource)
  }
  /** A whole state has been taken in. */
  get synced(): boolean {
    return this.#synced
  }
  /** What the last attempt failed of; undefined while the server is heard. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Until the signal aborts; never rejects for what the server does. */
  async run(signal: AbortSignal): Promise<void> {
    const rest = new Rest(this.#options.clock)
    signal.addEventListener('abort', rest.wake, { once: true })
    // Who finds the server first tells the others, which may have half a minute to wait.
    const forget = this.#options.client.onConnected(() => {
      if (this.#unreachable) rest.wake()
    })
    while (!signal.aborted) {
      rest.begin()
      const waitMs = await this.#attempt(signal)
      if (signal.aborted) break
      await rest.until(this.#options.clock.now() + waitMs)
    }
    forget()
    rest.end()
    signal.removeEventListener('abort', rest.wake)
  }

  /** One list or watch to its end; how long to wait before the next. */
  async #attempt(signal: AbortSignal): Promise<number> {
    using idle = new IdleLimit(this.#options, signal)
    this.#unreachable = false
    this.#beganMs = this.#options.clock.now()
    try {
      if (this.#version !== undefined) await this.#watch(this.#version, idle)
      else if (this.#paged) return await this.#listInPages(idle)
      else await this.#listAsStream(idle)
      return this.#lastedMs < SHORT_MS ? this.#backoff.next() : 0
    } catch (error) {
      if (signal.aborted) return 0
      if (idle.expired) return this.#afterSilence()
      return this.#afterError(error)
    }
  }

  /** The state comes as events, so that no list of it is held at either end. */
  async #listAsStream(idle: IdleLimit): Promise<void> {
    const from = {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      resourceVersion: this.#leastVersion(),
    }
    const { sink } = this.#options
    let complete = false
    sink.begin()
    for await (const { type, object } of this.#events(from, idle)) {
      const version = nameAndVersion(object).resourceVersion
      if (complete) this.#take(type, object, version)
      else if (type !== 'BOOKMARK') sink.put(object)
      else if (isInitialEnd(object)) {
        complete = true
        this.#finish(version)
      }
    }
    if (!complete) throw new ApiUnreachable('the stream of a list ended before the list')
  }

  /** The watch follows at once: nothing to wait for. */
  async #listInPages(idle: IdleLimit): Promise<0> {
    const { client, resource, query, extent = 'whole', sink } = this.#options
    const least = this.#leastVersion()
    const from = least === undefined ? {} : { resourceVersion: least, resourceVersionMatch: 'NotOlderThan' }
    let version = ''
    sink.begin()
    for await (const { items, resourceVersion } of client.list(
      resource,
      { ...query, ...from },
      { signal: idle.signal, extent },
    )) {
      idle.heard()
      version = resourceVersion
      for (const item of items) sink.put(item)
    }
    this.#finish(version)
    return 0
  }

  async #watch(version: string, idle: IdleLimit): Promise<void> {
    for await (const { type, object } of this.#events({ resourceVersion: version }, idle))
      this.#take(type, object, nameAndVersion(object).resourceVersion)
  }

  #events(from: Query, idle: IdleLimit): ReturnType<ApiClient['watch']> {
    const { client, resource, query, extent = 'whole', received } = this.#options
    const [least, most] = WATCH_SECONDS
    const timeoutSeconds = Math.round(least + this.#random() * (most - least))
    const heard = (bytes: number): void => {
      idle.heard()
      // A watch that is open again misses nothing, though nothing may have changed.
      if (this.#version !== undefined) this.#problem = undefined
      received?.(bytes)
    }
    const whole = { ...query, ...from, allowWatchBookmarks: true, timeoutSeconds }
    return client.watch(resource, whole, { signal: idle.signal, heard, extent })
  }

  #take(type: string, object: unknown, version: string): void {
    const { sink } = this.#options
    if (type === 'ADDED' || type === 'MODIFIED') sink.change(object)
    else if (type === 'DELETED') sink.remove(object)
    else if (type !== 'BOOKMARK') throw new ApiUnreachable(`an event of the unknown type ${JSON.stringify(type)}`)
    this.#reached(version)
  }

  /** A whole state is there: taken in, unless it is older than what is known already. */
  #finish(version: string): void {
    const { clock, log, sink } = this.#options
    if (version === '') throw new ApiUnreachable('a list came without a resourceVersion')
    if (this.#newest !== undefined && isOlder(version, this.#newest)) {
      this.#olderSince ??= clock.now()
      if (clock.now() - this.#olderSince < OLDER_BELIEVED_MS)
        throw new ApiUnreachable(`a list of version ${version} came, and ${this.#newest} has been seen already`)
      log.warn({ resource: this.name, version, seen: this.#newest }, 'the API server has gone back to an older state')
    }
    sink.finish()
    this.#newest = undefined
    this.#reached(version)
    this.#anyVersion = false
    if (this.#synced) return
    this.#synced = true
    log.info({ resource: this.name, version }, 'first full sync of a resource')
    this.#options.synced?.()
  }

  #reached(version: string): void {
    this.#problem = undefined
    this.#olderSince = undefined
    if (this.#lastedMs >= STEADY_MS) this.#backoff.succeeded()
    if (version === '') return
    this.#version = version
    this.#newest = version
  }

  get #lastedMs(): number {
    return this.#options.clock.now() - this.#beganMs
  }

  #leastVersion(): string | undefined {
    return this.#anyVersion ? undefined : this.#newest
  }

  #afterSilence(): number {
    const { log, idleMs, restarted } = this.#options
    log.warn({ resource: this.name, idleMs }, 'a watch said nothing for too long and is opened anew')
    restarted?.('silent')
    // What a connection did not deliver may be older than what its server still keeps.
    return this.#backoff.next()
  }

  #afterError(error: unknown): number {
    const { log, restarted } = this.#options
    const known = error instanceof ApiError ? error : undefined
    this.#unreachable = known === undefined
    restarted?.(known === undefined ? 'unreachable' : known.expired ? 'expired' : `status ${known.status}`)
    if (known?.expired) {
      this.#version = undefined
      return this.#backoff.next()
    }
    if (known !== undefined && this.#adapt(known)) return 0
    const problem = messageOf(error)
    if (problem !== this.#problem)
      log.warn({ resource: this.name, error }, 'the API server does not answer as it should')
    this.#problem = problem
    return this.#backoff.next(known?.retryAfterMs)
  }

  /** Whether another way of asking may do. */
  #adapt(error: ApiError): boolean {
    if (this.#version !== undefined) return false
    // An older server knows the parameters of streamed lists by name and forbids them.
    if (!this.#paged && (error.status === 422 || error.status === 400)) {
      this.#paged = true
      return true
    }
    if (!this.#anyVersion && error.causes.includes('ResourceVersionTooLarge')) {
      this.#anyVersion = true
      return true
    }
    return false
  }
}

function isInitialEnd(object: unknown): boolean {
  const { metadata } = Object(object) as {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> }
  }
  return metadata?.annotations?.[INITIAL_END] === 'true'
}

/** Aborts what runs when nothing has been heard for too long. */
class IdleLimit implements Disposable {
  readonly signal: AbortSignal
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #controller = new AbortController()
  #cancel: () => void = () => undefined
  #heardAt: number

  constructor({ clock, idleMs }: Pick<ListWatchOptions, 'clock' | 'idleMs'>, signal: AbortSignal) {
    this.#clock = clock
    this.#idleMs = idleMs
    this.signal = AbortSignal.any([signal, this.#controller.signal])
    this.#heardAt = clock.now()
    this.#arm(idleMs)
  }

  get expired(): boolean {
    return this.#controller.signal.aborted
  }

  heard(): void {
    this.#heardAt = this.#clock.now()
  }

  /** One timer, not one for each piece that is heard. */
  #arm(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const left = this.#heardAt + this.#idleMs - this.#clock.now()
      if (left > 0) this.#arm(left)
      else this.#controller.abort()
    })
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }
}
