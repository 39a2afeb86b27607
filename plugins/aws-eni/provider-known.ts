/** Interfaces as they were seen last, for what calls about them need and the core does not know. */
import type { NicId } from '../cloud-core/model.ts'
import type { Account } from './provider-clients.ts'
import { keyOf } from './provider-clients.ts'
import type { Eni } from './provider-inventory.ts'

interface Entry {
  readonly eni: Eni
  readonly account: Account
  readonly atMs: number
}

export class Known {
  readonly #entries = new Map<NicId, Entry>()
  /** Of each machine. */
  readonly #firsts = new Map<string, NicId>()

  get(id: NicId): Eni | undefined {
    return this.#entries.get(id)?.eni
  }
  account(id: NicId): Account | undefined {
    return this.#entries.get(id)?.account
  }
  /** The first interface of a machine. */
  first(machine: string): Eni | undefined {
    const id = this.#firsts.get(machine)
    const eni = id === undefined ? undefined : this.get(id)
    return eni?.nic.machine === machine && eni.nic.index === 0 ? eni : undefined
  }

  put(eni: Eni, account: Account): void {
    this.#entries.set(eni.nic.id, { eni, account, atMs: performance.now() })
    if (eni.nic.index === 0) this.#firsts.set(eni.nic.machine, eni.nic.id)
  }

  /** A look at all of an account: what it lacks and was not seen since it began is forgotten. */
  swept(enis: readonly Eni[], account: Account, startedMs: number): void {
    for (const eni of enis) {
      const before = this.#entries.get(eni.nic.id)
      if (before === undefined || before.atMs < startedMs) this.put(eni, account)
    }
    const seen = new Set(enis.map(({ nic }) => nic.id))
    const key = keyOf(account)
    for (const [id, entry] of this.#entries)
      if (!seen.has(id) && entry.atMs < startedMs && keyOf(entry.account) === key) this.delete(id)
  }

  attached(id: NicId, attachment: string): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) this.put({ ...entry.eni, attachment }, entry.account)
  }
  detached(id: NicId): void {
    this.attached(id, '')
  }

  delete(id: NicId): void {
    const machine = this.get(id)?.nic.machine
    if (machine !== undefined && this.#firsts.get(machine) === id) this.#firsts.delete(machine)
    this.#entries.delete(id)
  }
}
