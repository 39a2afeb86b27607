/**
 * Addresses whose pod went, from then until the expiry of conntrack has come by: what was tracked of the pod must not
 * speak for the address's next holder. The kernel does the work, in a run that is made anyway; here is only told of whom.
 */
import { toMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'

/** Map `departed`: address → when its pod went, on the clock of the entries (bpf_ktime_get_ns, CLOCK_MONOTONIC). */
export type DepartedMap = BpfMap<Uint8Array, bigint>

export class Departed {
  readonly #current: () => DepartedMap
  readonly #now: () => bigint

  /** A map may be replaced, so it is asked for each time. */
  constructor(current: () => DepartedMap, now: () => bigint = () => process.hrtime.bigint()) {
    this.#current = current
    this.#now = now
  }

  /** Whether a run has something to find. */
  get any(): boolean {
    const [first] = this.#current().entries()
    return first !== undefined
  }

  /** The pod of that address has gone; flows that are opened from now on are another's. */
  add(address: string): void {
    this.#current().update(toMapped16(address), this.#now())
  }

  /** A run begins; the result is called when it has been over all entries. Who went meanwhile has to wait for the next. */
  beginRun(): () => void {
    const before = [...this.#current().entries()]
    return () => {
      const map = this.#current()
      map.deleteBatch(before.filter(([address, when]) => map.lookup(address) === when).map(([address]) => address))
    }
  }
}
