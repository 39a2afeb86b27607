/**
 * Deletes host sides. A deletion waits for a grace period of the kernel (about 21 ms), however many devices it takes:
 * while one is in flight, those that come in collect and go together as one group.
 *
 * The kernel ends a deletion only when nobody refers to the device any more ("waiting for … to become free"). A deletion
 * that takes too long is left to its thread, and others go on beside it; the device is off its namespace by then.
 */
import { abortable } from '../abort.ts'
import type { Net, NetRequest } from '../kernel/kernel.ts'
import type { Gauge } from '../plugin.ts'

/** Devices in this group are being deleted; the number stands for nothing else. */
export const REAP_GROUP = 0x0ca0_dead

const PATIENCE_MS = 10_000
/** Of the four threads of libuv's pool, which reading and writing files needs, too. */
const MAX_STUCK = 2

export interface ReaperOptions {
  /** How long the others wait for one deletion. */
  readonly patienceMs?: number
  /** Is told how many deletions took longer and have not ended. */
  readonly stuck?: Pick<Gauge, 'set'>
}

interface Job {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class DeviceReaper {
  readonly #net: Pick<Net, 'runBlocking' | 'link'>
  readonly #options: ReaperOptions
  #jobs: Job[] = []
  #busy = false
  #stuck = 0

  constructor(net: Pick<Net, 'runBlocking' | 'link'>, options: ReaperOptions = {}) {
    this.#net = net
    this.#options = options
  }

  /** Resolves when no device has that index any more; rejects with the kernel's refusal while it is still there. */
  delete(index: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#jobs.push({ index, resolve, reject })
    if (!this.#busy) void this.#run()
    return promise
  }

  /** Never rejects: each job is told its own end. */
  async #run(): Promise<void> {
    this.#busy = true
    // Those that come in this turn of the event loop go with the first.
    await Promise.resolve()
    while (this.#jobs.length > 0) {
      const jobs = this.#jobs
      this.#jobs = []
      await this.#reap(jobs)
    }
    this.#busy = false
  }

  async #reap(jobs: readonly Job[]): Promise<void> {
    let refusal: unknown
    try {
      await this.#carryOut(requestsFor(jobs.map(job => job.index)))
    } catch (error) {
      // One device that vanished by itself refuses its request without harm to the others: each is looked at below.
      refusal = error
    }
    for (const job of jobs) this.#settle(job, refusal)
  }

  async #carryOut(requests: readonly NetRequest[]): Promise<void> {
    if (this.#stuck >= MAX_STUCK) throw new Error(`the kernel has not finished ${this.#stuck} earlier deletions`)
    const patience = AbortSignal.timeout(this.#options.patienceMs ?? PATIENCE_MS)
    const work = this.#net.runBlocking(requests)
    try {
      await abortable(work, patience)
    } catch (error) {
      if (patience.aborted) void this.#leave(work)
      throw error
    }
  }

  /** Counts a deletion among the stuck ones until it ends; how it ends is known by then to nobody. */
  async #leave(work: Promise<void>): Promise<void> {
    this.#options.stuck?.set(++this.#stuck)
    await work.catch(() => undefined)
    this.#options.stuck?.set(--this.#stuck)
  }

  #settle(job: Job, refusal: unknown): void {
    try {
      if (this.#net.link(job.index) === undefined) job.resolve()
      else job.reject(refusal ?? new Error(`link ${job.index} is still there after its deletion`))
    } catch (error) {
      job.reject(error)
    }
  }
}

/** One device by itself; more by their group, which costs one grace period for all. */
function requestsFor(indices: readonly number[]): NetRequest[] {
  const distinct = [...new Set(indices)]
  const [only] = distinct
  if (only !== undefined && distinct.length === 1) return [{ op: 'link-delete', link: only }]
  const marks = distinct.map(link => ({ op: 'link-set', link, group: REAP_GROUP }) as const)
  return [...marks, { op: 'group-delete', group: REAP_GROUP }]
}
