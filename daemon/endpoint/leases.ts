/** Addresses by pool: which IPAM serves a pool, waiting for an address that is not free yet, giving back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { abortable, afterAbort } from '../abort.ts'
import { UnknownPool } from '../errors.ts'
import { prefixContains } from '../kernel/ip.ts'
import type { Family } from '../kernel/kernel.ts'
import {
  type AddressRequest,
  DEFAULT_POOL,
  type Ipam,
  type Lease,
  type Notes,
  type PoolStatus,
  type Released,
} from '../plugin.ts'
import { AttachmentError, codeOf, endOfWait } from './errors.ts'
import { KeyedMutex } from './keyed-mutex.ts'

/** How often an exhausted pool is asked again: a pool tells nobody when an address has become free. */
const ASK_AGAIN_MS = 200
/** How long an IPAM may go on with a request whose signal has aborted, before nobody waits for it. */
const LAST_WORD_MS = 1_000

/** Requests that wait for an address, whichever it is. */
export interface Starved {
  readonly pool: string
  readonly family: Family
}

type Refused = Starved & { readonly address: string | undefined; readonly answer: unknown }
type Answer = { readonly lease: Lease } | { readonly exhausted: unknown }

/** What an exhausted pool may say besides; an IPAM from outside has classes of its own. */
interface Exhausted {
  readonly final?: unknown
  readonly fallback?: unknown
}

export class Leases {
  readonly #ipams: readonly Ipam[]
  readonly #pool: string
  /** Requests that found nothing, by what they ask for: the first one asks again, the others wait behind it. */
  readonly #lines = new KeyedMutex()
  /** What each line's first one was told last. */
  readonly #refusals = new Map<string, Refused>()
  /** Answers nobody waits for any more, by owner. */
  readonly #late = new Map<string, Promise<readonly Lease[]>>()

  /** `pool` is the one of requests that name none. */
  constructor(ipams: readonly Ipam[], pool = DEFAULT_POOL) {
    this.#ipams = ipams
    this.#pool = pool
  }

  /**
   * Leases an address, waiting in order of arrival while the pool is exhausted. A particular address is given by
   * whichever pool has it; one of a pool that has none by that which it names in its stead. When the signal aborts meanwhile: `AttachmentError` NO_ADDRESS with the pool's last answer as
   * cause. Other refusals of a pool are thrown as they are.
   */
  async allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    const pools = request.pool === undefined ? this.#candidates(request) : [request.pool]
    let refusal: unknown
    for (const pool of pools) {
      try {
        return await this.#from(pool, request, signal)
      } catch (error) {
        if (codeOf(error) !== 'ADDRESS_NOT_IN_POOL') throw error
        refusal ??= error
      }
    }
    throw refusal
  }

  /** A pool that names another one to be asked instead is not waited for; one that has nothing to wait for is neither. */
  async #from(pool: string, request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    try {
      return await this.#fromThis(pool, request, signal)
    } catch (error) {
      if (codeOf(error) !== 'POOL_EXHAUSTED') throw error
      const { fallback } = error as Exhausted
      if (typeof fallback !== 'string' || fallback === pool) throw noneToCome(request, error)
      return await this.#fromThis(fallback, request, signal).catch((second: unknown) => {
        throw codeOf(second) === 'POOL_EXHAUSTED' ? noneToCome(request, second) : second
      })
    }
  }

  /**
   * Gives the address back; a pool that is no longer configured holds no lease, so that nothing is to be done. Rejects
   * when the IPAM fails, or the signal aborts first.
   */
  async release(lease: Lease, signal: AbortSignal): Promise<void> {
    const ipam = this.#ipamOf(lease.pool)
    if (ipam) await abortable(ipam.release(lease, signal), signal)
  }

  /** The leases an IPAM gave, or will have given, to an owner whose request had ended by then; told once. */
  async late(owner: string, signal: AbortSignal): Promise<readonly Lease[]> {
    const leases = await abortable(this.#late.get(owner) ?? Promise.resolve([]), signal)
    this.#late.delete(owner)
    return leases
  }

  /**
   * Tells every pool what living pods hold, what was given back lately, and what it has noted under the name of its IPAM's
   * first pool; returns the leases no pool claims.
   */
  async restore(
    leases: readonly Lease[],
    released: readonly Released[],
    notesOf: (pool: string) => Notes,
  ): Promise<readonly Lease[]> {
    for (const ipam of this.#ipams) {
      const serves = ({ pool }: Lease): boolean => ipam.pools.includes(pool)
      await ipam.restore(
        leases.filter(serves),
        released.filter(({ lease }) => serves(lease)),
        notesOf(ipam.pools[0] ?? ''),
      )
    }
    return leases.filter(lease => !this.serves(lease.pool))
  }

  /**
   * Pools an address may be from: the one whose ranges hold it; while none says so, as before the node's ranges are
   * known, all of them, that of requests that name none first.
   */
  poolsOf(address: string): readonly string[] {
    const all = this.#ipams.flatMap(ipam => ipam.status())
    const sure = all.find(({ ranges }) => ranges.some(range => prefixContains(range, address)))
    return sure ? [sure.pool] : [...new Set([this.#pool, ...this.#ipams.flatMap(ipam => ipam.pools)])]
  }

  serves(pool: string): boolean {
    return this.#ipamOf(pool) !== undefined
  }

  /** Pools that have nothing for requests which wait now. */
  starved(): readonly Starved[] {
    return [...this.#refusals]
      .filter(([line, { address }]) => address === undefined && this.#lines.busy(line))
      .map(([, { pool, family }]) => ({ pool, family }))
  }

  /** State of the pool of requests that name none, one entry a family. */
  status(): readonly PoolStatus[] {
    return this.#ipams.flatMap(ipam => ipam.status()).filter(status => status.pool === this.#pool)
  }

  /** Any pool may have the wished address; the one of other requests is asked first. */
  #candidates({ address }: AddressRequest): readonly string[] {
    const all = address === undefined ? [] : this.#ipams.flatMap(ipam => ipam.pools)
    return [...new Set([this.#pool, ...all])]
  }

  /** Throws what a pool says that is not to be waited for, POOL_EXHAUSTED. */
  async #fromThis(pool: string, request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    const ipam = this.#ipamOf(pool)
    if (!ipam) throw this.#unknown(pool)
    const asked = { ...request, pool }
    const line = `${pool} ${request.family} ${request.address ?? ''}`
    // Who comes later must not get what those who wait are waiting for.
    if (!this.#lines.busy(line)) {
      const answer = await this.#ask(ipam, asked, signal)
      if ('lease' in answer) return answer.lease
      this.#refuse(line, asked, answer.exhausted)
    }
    try {
      return await this.#lines.run(line, signal, () => this.#insist(ipam, asked, line, signal))
    } catch (error) {
      if (!signal.aborted) throw error
      throw noAddress(request, this.#refusals.get(line)?.answer, signal.reason)
    }
  }

  /** Asks until there is an address; throws the signal's reason. */
  async #insist(ipam: Ipam, request: PoolRequest, line: string, signal: AbortSignal): Promise<Lease> {
    for (;;) {
      const answer = await this.#ask(ipam, request, signal)
      if ('lease' in answer) return answer.lease
      this.#refuse(line, request, answer.exhausted)
      await pause(ASK_AGAIN_MS, signal)
    }
  }

  #refuse(line: string, { pool, family, address }: PoolRequest, answer: unknown): void {
    this.#refusals.set(line, { pool, family, address, answer })
  }

  /** One question. Exhaustion is told by its code, since an IPAM from outside has classes of its own. */
  async #ask(ipam: Ipam, request: AddressRequest, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    const asked = ipam.allocate(request, signal)
    using lastWord = afterAbort(signal, LAST_WORD_MS)
    try {
      return { lease: await abortable(asked, lastWord.signal) }
    } catch (error) {
      if (codeOf(error) === 'POOL_EXHAUSTED') {
        const { final, fallback } = error as Exhausted
        if (final === true || fallback !== undefined) throw error
        return { exhausted: error }
      }
      if (lastWord.signal.aborted) this.#keepLate(request.owner, asked)
      throw signal.aborted ? endOfWait('an address', signal.reason) : error
    }
  }

  #keepLate(owner: string, asked: Promise<Lease>): void {
    const before = this.#late.get(owner) ?? Promise.resolve([])
    const answer = asked.then(
      lease => [lease],
      () => [],
    )
    this.#late.set(
      owner,
      Promise.all([before, answer]).then(all => all.flat()),
    )
  }

  #ipamOf(pool: string): Ipam | undefined {
    return this.#ipams.find(ipam => ipam.pools.includes(pool))
  }

  #unknown(pool: string): UnknownPool {
    const known = this.#ipams.flatMap(ipam => ipam.pools).join(', ')
    return new UnknownPool(`no IPAM serves the pool ${pool}; there are: ${known}`)
  }
}

/** Rejects with the signal's reason. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
}

/** One whose pool is known. */
type PoolRequest = AddressRequest & { readonly pool: string }

function noneToCome(request: AddressRequest, cause: unknown): AttachmentError {
  return new AttachmentError('NO_ADDRESS', `no IPv${request.family} address for ${request.owner}`, { cause })
}

/** A deadline is reported as lack of an address; any other end of waiting as what it is. */
function noAddress(request: AddressRequest, cause: unknown, reason: unknown): AttachmentError {
  const end = endOfWait('an address', reason)
  if (end.code !== 'DEADLINE') return end
  const what = `no IPv${request.family} address for ${request.owner} before the deadline`
  return new AttachmentError('NO_ADDRESS', what, { cause })
}
