/**
 * Addresses whose pod went. Until the expiry of conntrack has come by, what was tracked of the pod must not speak for the
 * address's next holder: the kernel does the work, in a run that is made anyway, and is told here of whom. From then on,
 * while nobody has the address, the programs reset connections with the pod.
 */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'

/** Map `departed`: address → when its pod went, on the clock of the entries (bpf_ktime_get_ns, CLOCK_MONOTONIC). */
export type DepartedMap = BpfMap<Uint8Array, bigint>

/** A peer that has said nothing for so long hears of the end by its own time-outs. */
const KEPT_NS = 3_600_000_000_000n
/** The oldest of more are forgotten; the map has room for as many that expiry has still to come by for. */
const MOST_KEPT = 8192

export class Departed {
  readonly #current: () => DepartedMap
  readonly #now: () => bigint
  /** Those that expiry has not come by for; undefined before the map was read: a daemon before this one has left it. */
  #pending: Set<string> | undefined
  /** The others, oldest first. */
  readonly #kept = new Map<string, bigint>()

  /** A map may be replaced, so it is asked for each time. */
  constructor(current: () => DepartedMap, now: () => bigint = () => process.hrtime.bigint()) {
    this.#current = current
    this.#now = now
  }

  /** Whether a run has something to find. */
  get any(): boolean {
    return this.#waiting().size > 0
  }

  /** The pod of that address has gone; flows that are opened from now on are another's. */
  add(address: string): void {
    this.#current().update(toMapped16(address), this.#now())
    this.#kept.delete(address)
    this.#waiting().add(address)
  }

  /** A run begins; the result is called when it has been over all entries. Who went meanwhile has to wait for the next. */
  beginRun(): () => void {
    const before = this.#waiting()
    this.#pending = new Set()
    return () => {
      const again = this.#waiting()
      for (const address of before) {
        const when = this.#current().lookup(toMapped16(address))
        if (when !== undefined && !again.has(address)) this.#kept.set(address, when)
      }
      this.#forget()
    }
  }

  #waiting(): Set<string> {
    this.#pending ??= new Set([...this.#current().entries()].map(([address]) => fromMapped16(address)))
    return this.#pending
  }

  #forget(): void {
    const oldest = this.#now() - KEPT_NS
    for (const [address, when] of this.#kept) {
      if (when > oldest && this.#kept.size <= MOST_KEPT) return
      this.#kept.delete(address)
      this.#current().delete(toMapped16(address))
    }
  }
}
