/**
 * Which of several operators acts: the holder of a Lease (coordination.k8s.io/v1), by the rules of client-go's leader
 * election. Clocks need not agree: whoever waits goes by how long it has seen the lease unchanged.
 */
import { messageOf } from '../errors.ts'
import { ApiError } from '../cluster/kubernetes/api-error.ts'
import type { ApiClient } from '../cluster/kubernetes/client.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import type { Logger } from '../plugin.ts'
import type { Clock } from '../state/clock.ts'
import { pause } from '../state/pause.ts'

export interface ElectionOptions {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'replace'>
  readonly namespace: string
  readonly lease: string
  /** Of this process, and of no other. */
  readonly identity: string
  /** Others take over after so long without a sign of the holder. */
  readonly leaseMs: number
  /** The holder that cannot renew for so long stops; less than `leaseMs`, so that it has stopped when others begin. */
  readonly renewMs: number
  readonly retryMs: number
  readonly log: Logger
  readonly clock: Clock
}

interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}
interface Lease {
  readonly metadata: { readonly resourceVersion?: string }
  readonly spec?: LeaseSpec
}

export class Election {
  readonly #options: ElectionOptions
  /** The lease as it was seen last, and since when it is like that. */
  #seen: { readonly text: string; readonly sinceMs: number } | undefined
  #holder = ''
  /** When it asked for the lease that it has. */
  #renewedMs = -Infinity
  /** Why the lease could not be had last; undefined once the server has answered. */
  #problem: string | undefined

  constructor(options: ElectionOptions) {
    this.#options = options
  }

  /** Identity of the holder as far as it is known; empty when there is none. */
  get holder(): string {
    return this.#holder
  }
  get leading(): boolean {
    return this.#holder === this.#options.identity
  }
  /** It leads, and nobody else does by now: of a process that stood still the lease may be over before it knows. */
  get certain(): boolean {
    return this.leading && this.#options.clock.now() - this.#renewedMs < this.#options.renewMs
  }

  /**
   * Leads whenever this process holds the lease, until the signal aborts; `lead` runs until its own signal aborts. The
   * lease is given back at the end. Rejects with what `lead` throws.
   */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, retryMs, renewMs } = this.#options
    while (!signal.aborted) {
      const asked = clock.now()
      if (await this.#attemptUntil(asked + renewMs, signal)) await this.#lead(lead, asked, signal)
      else await pause(clock, retryMs, signal)
    }
  }

  /** `held`: when the lease was asked for that it has. */
  async #lead(lead: (signal: AbortSignal) => Promise<void>, held: number, signal: AbortSignal): Promise<void> {
    this.#renewedMs = held
    const { log, identity } = this.#options
    log.info({ identity }, 'this operator leads')
    const lost = new AbortController()
    const until = AbortSignal.any([signal, lost.signal])
    const ended = lead(until).finally(() => lost.abort())
    // Whatever becomes of it is learnt below.
    ended.catch(() => undefined)
    await this.#keep(held, until)
    lost.abort()
    try {
      await ended
    } finally {
      await this.#release()
    }
    log.info({ identity }, 'this operator does not lead any more')
  }

  /**
   * Renews until it cannot, or is told to stop. Time counts from when it asked: others may have seen the lease since then,
   * however late the answer came.
   */
  async #keep(held: number, signal: AbortSignal): Promise<void> {
    const { clock, renewMs, retryMs, log } = this.#options
    let renewed = held
    while (!signal.aborted) {
      await pause(clock, Math.min(retryMs, renewed + renewMs - clock.now()), signal)
      if (signal.aborted) return
      const asked = clock.now()
      if (await this.#attemptUntil(renewed + renewMs, signal)) renewed = this.#renewedMs = asked
      if (this.#holder !== this.#options.identity || clock.now() - renewed >= renewMs) {
        log.warn({ holder: this.#holder }, 'the lease could not be renewed in time')
        this.#holder = this.leading ? '' : this.#holder
        return
      }
    }
  }

  /** As `#attempt`, given up at a moment of the clock. */
  async #attemptUntil(moment: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    const limit = new AbortController()
    const cancel = clock.after(moment - clock.now(), () => limit.abort())
    const held = await this.#attempt(AbortSignal.any([signal, limit.signal]))
    cancel()
    return held && !limit.signal.aborted
  }

  /** Takes or renews the lease; false when another has it, or the API server does not answer. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, lease, identity, log } = this.#options
    try {
      const found = await this.#read(signal)
      if (found === undefined) {
        const spec = this.#spec(undefined)
        await client.create(RESOURCES.leases, { namespace }, { metadata: { name: lease, namespace }, spec }, signal)
      } else {
        if (!this.#isFree(found)) return false
        const spec = this.#spec(found.spec)
        await client.replace(RESOURCES.leases, { namespace, name: lease }, { ...found, spec }, signal)
      }
      this.#holder = identity
      this.#problem = undefined
      return true
    } catch (error) {
      const raced = error instanceof ApiError && error.conflict
      if (signal.aborted || raced) return false
      const problem = messageOf(error)
      // It is tried again every few seconds.
      if (problem !== this.#problem)
        log.warn({ lease: `${namespace}/${lease}`, error: problem }, 'the lease cannot be had')
      this.#problem = problem
      return false
    }
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, lease, clock } = this.#options
    try {
      const found = (await client.get(RESOURCES.leases, { namespace, name: lease }, signal)) as Lease
      const text = JSON.stringify(found.spec ?? {})
      if (text !== this.#seen?.text) this.#seen = { text, sinceMs: clock.now() }
      this.#holder = found.spec?.holderIdentity ?? ''
      this.#problem = undefined
      return found
    } catch (error) {
      if (error instanceof ApiError && error.missing) return undefined
      throw error
    }
  }

  #isFree({ spec }: Lease): boolean {
    const { identity, leaseMs, clock } = this.#options
    const holder = spec?.holderIdentity ?? ''
    if (holder === '' || holder === identity) return true
    // Its holder may have been given a longer time than we would take.
    const lastsMs = Math.max(leaseMs, (spec?.leaseDurationSeconds ?? 0) * 1000)
    return clock.now() - (this.#seen?.sinceMs ?? clock.now()) >= lastsMs
  }

  #spec(last: LeaseSpec | undefined): LeaseSpec {
    const { identity, leaseMs } = this.#options
    const now = microTime()
    const mine = last?.holderIdentity === identity
    const before = last?.leaseTransitions ?? 0
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      acquireTime: mine ? (last.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: last === undefined || mine ? before : before + 1,
    }
  }

  /** So that the next need not wait for it to end. */
  async #release(): Promise<void> {
    if (!this.leading) return
    const { client, namespace, lease, identity, renewMs } = this.#options
    this.#holder = ''
    const limit = AbortSignal.timeout(Math.min(renewMs, 2000))
    try {
      const found = (await client.get(RESOURCES.leases, { namespace, name: lease }, limit)) as Lease
      if (found.spec?.holderIdentity !== identity) return
      const spec = { ...found.spec, holderIdentity: '', renewTime: microTime() }
      await client.replace(RESOURCES.leases, { namespace, name: lease }, { ...found, spec }, limit)
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'the lease could not be given back; it ends by itself')
    }
  }
}

/** MicroTime of the Kubernetes API: RFC 3339 with microseconds. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}
