/**
 * Pods' interfaces on this node. Requests come in from api/cni.ts; rows of table `endpoints`, devices, leases and the
 * journal are what goes out. `createEndpoints` allocates only; `restore` begins the work, and requests that come before
 * its end wait for it within their deadline.
 */
import { abortable } from '../abort.ts'
import type { Blocks } from '../datapath/blocks.ts'
import type { Family, Kernel } from '../kernel/kernel.ts'
import type { Ipam, LinkShaper, Logger, Metrics } from '../plugin.ts'
import type { Tables } from '../state/tables.ts'
import { type AddRequest, addAttachment } from './add.ts'
import type { Attachment, CniResult } from './attachment.ts'
import { type CheckRequest, checkAttachment } from './check.ts'
import type { EndpointContext, PodMtu, Settled } from './context.ts'
import { deleteAttachment } from './delete.ts'
import { DeviceReaper } from './device-reaper.ts'
import { AttachmentError, codeOf, endOfWait } from './errors.ts'
import { collectGarbage, type GcRequest } from './gc.ts'
import { Journal } from './journal.ts'
import { type JournalFiles, nodeFiles } from './journal-files.ts'
import { type AttachmentId, attachmentKey } from './key.ts'
import { KeyedMutex } from './keyed-mutex.ts'
import { Leases, type Starved } from './leases.ts'
import { endpointMetrics, type Verb } from './metrics.ts'
import { onLinkEvent, reconcileEndpoints, repairHosts } from './reconcile-endpoints.ts'
import { followMtu } from './remtu.ts'
import { namedNamespaces } from './rebuild.ts'
import { replayQueue } from './replay.ts'
import { restoreAttachments } from './restore.ts'
import { requireAvailable } from './status.ts'
import type { Fault } from './steps.ts'

export interface EndpointsOptions {
  readonly kernel: Kernel
  readonly tables: Pick<Tables, 'endpoints'>
  readonly ipams: readonly Ipam[]
  /** Pool of all pods that wish for no particular address; DEFAULT_POOL unless given. */
  readonly pool?: string
  readonly families: readonly Family[]
  readonly settled: Settled
  /** Whether the datapath's map holds this pod as it should; CHECK asks. */
  readonly inDatapath?: (attachment: Attachment) => boolean
  readonly blocks: () => Blocks
  readonly podMtu: () => PodMtu
  readonly shapers?: readonly LinkShaper[]
  readonly journalPath: string
  readonly deleteQueuePath: string
  /** What else must be there before an ADD can be served; STATUS names it. */
  readonly waiting?: () => readonly string[]
  readonly log: Logger
  readonly metrics: Metrics
  readonly fault?: Fault
  /** Interval of the comparison with the kernel. */
  readonly reconcileMs?: number
  readonly files?: JournalFiles
  /** Where namespaces of pods may be; asked when the journal is lost. Those in /run/netns unless given. */
  readonly netnsPaths?: () => readonly string[]
  /** Microseconds since 1970. */
  readonly now?: () => number
}

/** All reject with `AttachmentError` or an error of the pool; the signal is the caller's going away. */
export interface Endpoints extends AsyncDisposable {
  /** Takes up what outlived the last daemon, then watches. Rejects when journal, kernel or pools refuse. */
  restore(): Promise<void>
  /** What restoring or the daemon waits for; empty when requests are served. */
  waiting(): readonly string[]
  add(request: AddRequest, deadlineMs: number, signal: AbortSignal): Promise<CniResult>
  /** Goes on when the caller went away: the pod is to go either way. */
  del(id: AttachmentId, deadlineMs: number): Promise<void>
  check(request: CheckRequest, deadlineMs: number, signal: AbortSignal): Promise<void>
  gc(request: GcRequest, deadlineMs: number, signal: AbortSignal): Promise<void>
  status(): void
  /** Pools that have nothing for pods which wait now. */
  starved(): readonly Starved[]
  /** The MTU plan has changed: living pods follow. */
  remtu(): Promise<void>
  /** Puts links, block bindings, routes and neighbours of living pods right, as after somebody flushed routes. */
  repair(): Promise<void>
  /** Compares everything with the kernel and replays queued DELs; also runs by itself. */
  reconcile(): Promise<void>
}

/** What is waited for until `restore` has ended. */
export const RESTORING = 'pods of before'

const RECONCILE_MS = 30_000
/** How long operations may go on when the daemon stops; part of the 10 s it has for all. */
const STOP_MS = 3_000

export function createEndpoints(options: EndpointsOptions): Endpoints {
  return new NodeEndpoints(options)
}

class NodeEndpoints implements Endpoints {
  readonly #options: EndpointsOptions
  readonly #metrics
  readonly #leases: Leases
  readonly #initialized: () => void
  readonly #stop = new AbortController()
  readonly #ready = Promise.withResolvers<EndpointContext>()
  readonly #owned = new AsyncDisposableStack()
  readonly #inFlight = new Map<Promise<unknown>, Verb>()
  readonly #locks = new KeyedMutex()
  readonly #background = new Set<Promise<void>>()
  #reconciling: Promise<void> | undefined
  #restored = false

  constructor(options: EndpointsOptions) {
    this.#options = options
    this.#metrics = endpointMetrics(options.metrics)
    this.#leases = new Leases(options.ipams, options.pool)
    this.#initialized = options.tables.endpoints.initializer('endpoint')
    // Whoever waits gets the rejection; nobody need wait.
    this.#ready.promise.catch(() => {})
  }

  restore(): Promise<void> {
    return this.#inBackground(this.#restore())
  }

  async #restore(): Promise<void> {
    const { deleteQueuePath, netnsPaths = namedNamespaces } = this.#options
    const ctx = this.#createContext()
    // Before the look at the devices: what vanishes between the two is then told by an event.
    this.#owned.use(this.#watch(ctx))
    await restoreAttachments(ctx, netnsPaths)
    await replayQueue(ctx, deleteQueuePath, this.#stop.signal)
    this.#stop.signal.throwIfAborted()
    this.#initialized()
    this.#restored = true
    this.#ready.resolve(ctx)
    const timer = setInterval(() => void this.reconcile(), this.#options.reconcileMs ?? RECONCILE_MS)
    timer.unref()
    this.#owned.defer(() => clearInterval(timer))
  }

  waiting(): readonly string[] {
    const others = this.#options.waiting?.() ?? []
    return this.#restored || others.includes(RESTORING) ? others : [RESTORING, ...others]
  }

  add(request: AddRequest, deadlineMs: number, signal: AbortSignal): Promise<CniResult> {
    const pod = `${request.pod.namespace}/${request.pod.name}`
    const on = { key: attachmentKey(request), pod }
    return this.#serve('add', on, deadlineMs, signal, (ctx, own) => addAttachment(ctx, request, own))
  }
  del(id: AttachmentId, deadlineMs: number): Promise<void> {
    const key = attachmentKey(id)
    return this.#serve('del', { key }, deadlineMs, undefined, (ctx, own) => deleteAttachment(ctx, key, own))
  }
  check(request: CheckRequest, deadlineMs: number, signal: AbortSignal): Promise<void> {
    const on = { key: attachmentKey(request) }
    return this.#serve('check', on, deadlineMs, signal, (ctx, own) => checkAttachment(ctx, request, own))
  }
  gc(request: GcRequest, deadlineMs: number, signal: AbortSignal): Promise<void> {
    const on = { network: request.network }
    return this.#serve('gc', on, deadlineMs, signal, (ctx, own) => collectGarbage(ctx, request, own))
  }
  status(): void {
    requireAvailable(this.waiting(), this.#options.families, this.#leases.status())
  }

  starved(): readonly Starved[] {
    return this.#leases.starved()
  }

  async remtu(): Promise<void> {
    if (this.#restored) await followMtu(await this.#ready.promise, this.#stop.signal)
  }
  async repair(): Promise<void> {
    if (this.#restored && !this.#stop.signal.aborted) repairHosts(await this.#ready.promise)
  }
  async reconcile(): Promise<void> {
    if (!this.#restored || this.#stop.signal.aborted) return
    this.#reconciling ??= this.#inBackground(this.#reconcile()).finally(() => {
      this.#reconciling = undefined
    })
    await this.#reconciling
  }

  async #reconcile(): Promise<void> {
    const { signal } = this.#stop
    try {
      const ctx = await this.#ready.promise
      await reconcileEndpoints(ctx, signal)
      await followMtu(ctx, signal)
      await replayQueue(ctx, this.#options.deleteQueuePath, signal)
    } catch (error) {
      this.#options.log.error({ error }, 'comparing pods with the kernel failed; it will be tried again')
    }
  }

  /** Work of the daemon's own that a stop lets end. */
  #inBackground(work: Promise<void>): Promise<void> {
    this.#background.add(work)
    const ended = (): void => void this.#background.delete(work)
    work.then(ended, ended)
    return work
  }

  /** Ends what only waits, lets the rest finish within bounds; pods and their traffic are not touched. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new AttachmentError('STOPPING', 'the daemon is stopping'))
    this.#ready.reject(this.#stop.signal.reason)
    const running = Promise.allSettled([...this.#inFlight.keys(), ...this.#background, this.#locks.idle()])
    await abortable(running, AbortSignal.timeout(STOP_MS)).catch(() => {
      this.#options.log.warn(
        { verbs: [...this.#inFlight.values()] },
        'operations on pods were still running at the stop',
      )
    })
    await this.#owned.disposeAsync()
  }

  #createContext(): EndpointContext {
    const options = this.#options
    const { kernel, log } = options
    const files = options.files ?? nodeFiles()
    const now = options.now ?? (() => Date.now() * 1000)
    const journal = new Journal({ path: options.journalPath, bootId: kernel.bootId, files, log, now })
    this.#owned.use(journal)
    return {
      kernel,
      ownNetns: kernel.netnsId('/proc/self/ns/net'),
      log,
      journal,
      locks: this.#locks,
      tables: options.tables,
      settled: options.settled,
      inDatapath: options.inDatapath ?? (() => true),
      leases: this.#leases,
      reaper: new DeviceReaper(kernel.net, { stuck: this.#metrics.stuck }),
      held: new Map(),
      blocks: options.blocks,
      podMtu: options.podMtu,
      shapers: options.shapers ?? [],
      families: options.families,
      ids: { last: 0 },
      fault: options.fault ?? (() => {}),
      metrics: this.#metrics,
      now,
    }
  }

  #watch(ctx: EndpointContext): Disposable {
    return ctx.kernel.net.watch(['link'], event => {
      if (!this.#restored && event.kind !== 'overrun' && !(event.kind === 'link' && event.gone)) return
      // Events of the time of restoring are looked at once it is over.
      void this.#ready.promise
        .then(() => onLinkEvent(ctx, event, this.#stop.signal))
        .catch((error: unknown) => ctx.log.error({ error }, 'a link event was not followed'))
    })
  }

  /** Without a caller the operation ends by its deadline only. */
  #serve<T>(
    verb: Verb,
    on: object,
    deadlineMs: number,
    caller: AbortSignal | undefined,
    operation: (ctx: EndpointContext, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#stop.signal.aborted) return Promise.reject(this.#stop.signal.reason)
    const deadline = AbortSignal.timeout(Math.max(1, deadlineMs))
    const signal = caller ? AbortSignal.any([caller, this.#stop.signal, deadline]) : deadline
    const running = this.#measured(verb, on, signal, operation)
    this.#inFlight.set(running, verb)
    this.#count(verb)
    const ended = (): void => {
      this.#inFlight.delete(running)
      this.#count(verb)
    }
    running.then(ended, ended)
    return running
  }

  async #measured<T>(
    verb: Verb,
    on: object,
    signal: AbortSignal,
    operation: (ctx: EndpointContext, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const began = performance.now()
    try {
      const answer = await operation(await this.#started(signal), signal)
      this.#finished(verb, on, began)
      return answer
    } catch (thrown) {
      // The key's turn had not come: nothing was begun.
      const error = signal.aborted && thrown === signal.reason ? endOfWait('its turn', thrown) : thrown
      this.#finished(verb, on, began, error)
      throw error
    }
  }

  async #started(signal: AbortSignal): Promise<EndpointContext> {
    try {
      return await abortable(this.#ready.promise, signal)
    } catch (error) {
      const end = endOfWait('the daemon to start', error)
      if (end.code !== 'DEADLINE') throw end
      throw new AttachmentError('STARTING', `the daemon is starting; waiting for ${this.waiting().join(', ')}`)
    }
  }

  #finished(verb: Verb, on: object, began: number, error?: unknown): void {
    const seconds = (performance.now() - began) / 1000
    const result = error === undefined ? 'ok' : 'error'
    this.#metrics.total.observe(seconds, { verb, result })
    if (error === undefined) {
      this.#options.log.info({ ...on, verb, seconds }, 'CNI request served')
      return
    }
    const code = codeOf(error) ?? 'INTERNAL'
    this.#metrics.errors.inc({ verb, code })
    this.#options.log.warn({ ...on, verb, seconds, code, error }, 'CNI request failed')
  }

  #count(verb: Verb): void {
    const now = [...this.#inFlight.values()].filter(other => other === verb).length
    this.#metrics.inFlight.set(now, { verb })
  }
}
