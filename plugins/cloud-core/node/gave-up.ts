/**
 * Which lives of blocks this node has given up: nothing is given of them any more, whatever anybody says later. Each is
 * on disk before it is told, since a spec that is read after a restart may be older than that.
 */
import type { Notes } from '../../../daemon/plugin.ts'
import type { Clock } from '../../../daemon/state/clock.ts'
import type { CloudBlockRow } from '../../../daemon/state/cloud-rows.ts'

export type BlockLife = Pick<CloudBlockRow, 'block' | 'born'>

/** So many are remembered of blocks that no spec names, for the case that an old one turns up. */
const MOST_FORMER = 1024
const RETRY_MS = 5_000
/** Numbers of lives begin with 1. */
const NONE = 0

interface Entry {
  /** The greatest number that was given up. */
  readonly born: number
  /** The greatest that is known to be on disk; NONE for none. */
  readonly durable: number
}

export class GaveUp {
  readonly #clock: Clock
  readonly #changed: () => void
  /** By NodeNetwork and block, those written last at the end. */
  readonly #entries = new Map<string, Entry>()
  readonly #writing = new Set<string>()
  #notes: Notes | undefined
  #problem: string | undefined

  /** `changed` is called when one has become durable, or should be tried again. */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock
    this.#changed = changed
  }

  /** Takes up what an earlier life of the daemon noted. Until then nothing is given up. */
  open(notes: Notes): void {
    this.#notes = notes
    for (const [key, text] of notes.entries) {
      const born = Number(text)
      if (Number.isSafeInteger(born)) this.#entries.set(key, { born, durable: born })
    }
  }

  get opened(): boolean {
    return this.#notes !== undefined
  }
  /** False when some may have been forgotten. */
  get complete(): boolean {
    return this.#notes?.complete ?? true
  }
  /** Why one could not be written. */
  get problem(): string | undefined {
    return this.#problem
  }

  has(network: string, { block, born }: BlockLife): boolean {
    return born <= (this.#entries.get(keyOf(network, block))?.born ?? NONE)
  }
  /** Whether it may be told. */
  isDurable(network: string, { block, born }: BlockLife): boolean {
    const entry = this.#entries.get(keyOf(network, block))
    return entry !== undefined && entry.durable > NONE && born <= entry.durable
  }

  /** From here on nothing is given of it; what fails is tried again by the next call. */
  giveUp(network: string, { block, born }: BlockLife): void {
    const notes = this.#notes
    const key = keyOf(network, block)
    if (notes === undefined || this.isDurable(network, { block, born }) || this.#writing.has(key)) return
    const durable = this.#entries.get(key)?.durable ?? NONE
    this.#entries.delete(key)
    this.#entries.set(key, { born, durable })
    this.#writing.add(key)
    void this.#write(notes, key, born)
  }

  /** Forgets the oldest of those that are not named any more, beyond some. */
  prune(network: string, named: ReadonlySet<string>): void {
    if (this.#entries.size <= MOST_FORMER) return
    const former = [...this.#entries.keys()].filter(key => !isNamed(key, network, named))
    for (const key of former.slice(0, Math.max(0, former.length - MOST_FORMER))) {
      if (this.#writing.has(key)) continue
      this.#entries.delete(key)
      // One that stays on disk is forgotten later.
      this.#notes?.write(key, undefined).catch(() => undefined)
    }
  }

  async #write(notes: Notes, key: string, born: number): Promise<void> {
    try {
      await notes.write(key, String(born))
      this.#entries.set(key, { born: Math.max(born, this.#entries.get(key)?.born ?? born), durable: born })
      this.#problem = undefined
      this.#writing.delete(key)
      this.#changed()
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      this.#clock.after(RETRY_MS, () => {
        this.#writing.delete(key)
        this.#changed()
      })
    }
  }
}

function keyOf(network: string, block: string): string {
  return `${network} ${block}`
}

function isNamed(key: string, network: string, named: ReadonlySet<string>): boolean {
  return key.startsWith(`${network} `) && named.has(key.slice(network.length + 1))
}
