/**
 * Deletes host sides. A deletion waits for a grace period of the kernel (about 21 ms), however many devices it takes:
 * while one is in flight, those that come in collect and go together as one group.
 */
import type { Net, NetRequest } from '../kernel/kernel.ts'

/** Devices in this group are being deleted; the number stands for nothing else. */
export const REAP_GROUP = 0x0ca0_dead

interface Job {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class DeviceReaper {
  readonly #net: Pick<Net, 'runBlocking' | 'link'>
  #jobs: Job[] = []
  #busy = false

  constructor(net: Pick<Net, 'runBlocking' | 'link'>) {
    this.#net = net
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
      await this.#net.runBlocking(requestsFor(jobs.map(job => job.index)))
    } catch (error) {
      // One device that vanished by itself refuses its request without harm to the others: each is looked at below.
      refusal = error
    }
    for (const job of jobs) this.#settle(job, refusal)
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
