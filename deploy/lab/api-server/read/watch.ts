/** One watch: what there is if that was asked for, then every change, until the time is over or somebody goes. */
import { type Call, subjectOf, targetOf } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { Target } from '../faults/fault.ts'
import type { Collection } from '../objects/collection.ts'
import { ApiError, expired, tooLargeResourceVersion } from '../status.ts'
import { EventWriter, eventOf } from './events.ts'
import { type ListOptions, readListOptions, revisionOf } from './options.ts'

/** Where the lines of a watch go. */
export interface WatchSink {
  write(line: Buffer): void
  end(): void
  /** Ends the connection without a word. */
  destroy(): void
}

/** kube-apiserver --min-request-timeout: a watch lasts this long to twice as long when its client names no time. */
const MIN_REQUEST_TIMEOUT_SECONDS = 1800

/** setTimeout takes no more, and for more than that fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

export class Watch {
  readonly target: Target
  readonly #cluster: Cluster
  readonly #call: Call
  readonly #options: ListOptions
  /** The revision that it begins after; 0 where it begins with what there is. */
  readonly #from: number
  readonly #collection: Collection
  readonly #writer: EventWriter
  readonly #open: () => WatchSink
  #sink: WatchSink | undefined
  readonly #undo: (() => void)[] = []
  #silent = false
  #closed = false
  /** The next line is not sent whole. */
  #cutting = false

  /** @throws ApiError when the options do not fit together */
  constructor(cluster: Cluster, call: Call, open: () => WatchSink) {
    this.target = targetOf(call)
    this.#cluster = cluster
    this.#call = call
    this.#options = readListOptions(call)
    this.#from = ['', '0'].includes(this.#options.resourceVersion) ? 0 : revisionOf(this.#options.resourceVersion)
    this.#collection = cluster.store.collection(call.resource)
    this.#writer = new EventWriter(call.resource, call.accept, cluster.now)
    this.#open = open
  }

  start(): void {
    if (this.#closed) return
    this.#sink = this.#open()
    this.#undo.push(this.#cluster.watches.add(this))
    this.#meetFaults()
    try {
      this.#sendFirst()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#send(this.#writer.error(error))
      return this.end()
    }
    if (this.#closed) return
    this.#undo.push(this.#collection.listen(change => this.#tell(change)))
    this.#startTimers()
  }

  /** Sends nothing any more and stays open. */
  silence(): void {
    this.#silent = true
  }

  /** Half a line, then nothing, not even an end. */
  cut(): void {
    this.#sink?.write(Buffer.from(`{"type":"MODIFIED","object":{"kind":"${this.#call.resource.kind}","apiVers`))
    this.close()
    this.#sink?.destroy()
  }

  /** Ends as a watch does whose time is over. */
  end(): void {
    if (this.#silent) return
    this.close()
    this.#sink?.end()
  }

  /** Lets go of everything; the connection is somebody else's. */
  close(): void {
    this.#closed = true
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  #meetFaults(): void {
    const { faults } = this.#cluster
    if (faults.take('silent-watch', this.target) !== undefined) this.silence()
    this.#cutting = faults.take('cut', this.target) !== undefined
    if (faults.take('garbage', this.target) !== undefined) this.#send(Buffer.from('{"type":"MODIF<html>\n'))
  }

  /** What comes before the changes: everything, or what has happened since. */
  #sendFirst(): void {
    const { sendInitialEvents, bookmarks } = this.#options
    const current = this.#cluster.store.revision
    const from = this.#from
    if (from > current) throw tooLargeResourceVersion(from, current)
    const all = sendInitialEvents ?? from === 0
    if (all) {
      this.#sendAll(current)
      if (sendInitialEvents === true && bookmarks) this.#bookmark(true)
    } else if (from > 0) {
      this.#sendSince(from)
    }
  }

  #sendAll(revision: number): void {
    const { selects } = this.#options
    for (const stored of this.#collection.at(revision, this.#prefix()))
      if (selects === undefined || selects(stored)) this.#send(this.#writer.line('ADDED', stored))
  }

  #sendSince(revision: number): void {
    const { oldest } = this.#collection
    if (revision < oldest) throw expired(`too old resource version: ${revision} (${oldest})`)
    for (const change of this.#collection.since(revision)) this.#tell(change)
  }

  #tell(change: Parameters<typeof eventOf>[0]): void {
    if (!change.key.startsWith(this.#prefix())) return
    const event = eventOf(change, this.#options.selects)
    if (event !== undefined) this.#send(this.#writer.line(event.type, event.stored))
  }

  #prefix(): string {
    const { route, resource } = this.#call
    return route.namespace === '' || !resource.namespaced ? '' : `${route.namespace}/`
  }

  #bookmark(initialEnd: boolean): void {
    if (this.#cluster.faults.take('no-bookmarks', this.target) !== undefined) return
    this.#send(this.#writer.bookmark(this.#cluster.store.revision, initialEnd))
  }

  #send(line: Buffer): void {
    if (this.#silent || this.#closed) return
    if (this.#cutting) return this.cut()
    this.#cluster.counters.watchSent(subjectOf(this.target), line.length)
    this.#sink?.write(line)
  }

  #startTimers(): void {
    const { timeoutSeconds, bookmarks } = this.#options
    const seconds = timeoutSeconds > 0 ? timeoutSeconds : MIN_REQUEST_TIMEOUT_SECONDS * (1 + Math.random())
    const end = setTimeout(
      () => {
        if (bookmarks) this.#bookmark(false)
        this.end()
      },
      Math.min(seconds * 1000, MAX_TIMER_MS),
    )
    this.#undo.push(() => clearTimeout(end))
    if (!bookmarks) return
    const timer = setInterval(() => this.#bookmark(false), this.#cluster.bookmarkMs)
    this.#undo.push(() => clearInterval(timer))
  }
}
