/** Addresses by pool: which IPAM serves a pool, waiting for an address that is not free yet, giving back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PoolExhausted, UnknownPool } from '../errors.ts'
import type { AddressRequest, Ipam, Lease, PoolStatus } from '../plugin.ts'
import { AttachmentError, endOfWait } from './errors.ts'

/** How often an exhausted pool is asked again: a pool tells nobody when an address has cooled down. */
const ASK_AGAIN_MS = 200

export class Leases {
  readonly #ipams: readonly Ipam[]

  constructor(ipams: readonly Ipam[]) {
    this.#ipams = ipams
  }

  /**
   * Leases an address, waiting while the pool is exhausted. When the signal aborts meanwhile: `AttachmentError`
   * NO_ADDRESS with the pool's last answer as cause. Other refusals of the pool are thrown as they are.
   */
  async allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease> {
    const ipam = this.#serving(request.pool)
    for (;;) {
      signal.throwIfAborted()
      try {
        return await ipam.allocate(request, signal)
      } catch (error) {
        if (!(error instanceof PoolExhausted)) throw signal.aborted ? endOfWait('an address', signal.reason) : error
        if (!(await waited(ASK_AGAIN_MS, signal))) throw noAddress(request, error, signal.reason)
      }
    }
  }

  /** Gives the address back; a pool that is no longer configured holds no lease, so that nothing is to be done. */
  async release(lease: Lease): Promise<void> {
    await this.#ipams.find(ipam => ipam.pools.includes(lease.pool))?.release(lease)
  }

  /** Tells every pool what living pods hold; returns the leases no pool claims. */
  async restore(leases: readonly Lease[]): Promise<readonly Lease[]> {
    for (const ipam of this.#ipams) await ipam.restore(leases.filter(lease => ipam.pools.includes(lease.pool)))
    return leases.filter(lease => !this.serves(lease.pool))
  }

  serves(pool: string): boolean {
    return this.#ipams.some(ipam => ipam.pools.includes(pool))
  }

  /** State of a pool, of the default one when absent, one entry a family. */
  status(pool?: string): readonly PoolStatus[] {
    const name = pool ?? this.#ipams[0]?.pools[0]
    return this.#ipams.flatMap(ipam => ipam.status()).filter(status => status.pool === name)
  }

  #serving(pool: string | undefined): Ipam {
    const found = pool === undefined ? this.#ipams[0] : this.#ipams.find(ipam => ipam.pools.includes(pool))
    if (found) return found
    const known = this.#ipams.flatMap(ipam => ipam.pools).join(', ')
    throw new UnknownPool(`no IPAM serves the pool ${pool ?? '(default)'}; there are: ${known}`)
  }
}

/** False when the signal aborted first. */
async function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}

/** A deadline is reported as lack of an address; any other end of waiting as what it is. */
function noAddress(request: AddressRequest, cause: PoolExhausted, reason: unknown): AttachmentError {
  const end = endOfWait('an address', reason)
  if (end.code !== 'DEADLINE') return end
  const what = `no IPv${request.family} address for ${request.owner} before the deadline`
  return new AttachmentError('NO_ADDRESS', what, { cause })
}
