/**
 * Desired state: rows keyed by a string, each change stamped with a revision. A synchronous block is the transaction:
 * readers woken by `changed()` run after it. Rows are values: whoever writes one does not change it afterwards.
 */

/** What changed since a follower last looked, oldest first; a key appears once however often it changed. */
export interface Changes<T> {
  /** The table's revision these changes lead to. */
  readonly revision: number
  readonly updated: readonly T[]
  /** The last rows of keys that are gone. */
  readonly deleted: readonly T[]
}

/** A reader with a place in the table's history. Tombstones are kept until every follower has passed them. */
export interface Follower<T> extends Disposable {
  readonly name: string
  readonly revision: number
  /** Changes since the last call; the first call gives every row. Costs what changed, not what the table holds. */
  take(): Changes<T>
}

/** A table for those who only look. */
export type ReadonlyTable<T> = Pick<
  Table<T>,
  | 'name'
  | 'revision'
  | 'size'
  | 'initialized'
  | 'pending'
  | 'get'
  | 'keyOf'
  | 'values'
  | 'changed'
  | typeof Symbol.iterator
>

interface Entry<T> {
  readonly revision: number
  readonly key: string
  /** Undefined once another entry has taken its place: the history would keep as many old rows as there are current ones. */
  row: T | undefined
  readonly gone: boolean
}

/** Superseded entries the history may hold beyond as many as there are current ones. */
const SLACK = 64

/** Rows of one kind. Writers `put` and `delete`, readers `get`, iterate or `follow`. */
export class Table<T> {
  readonly name: string
  readonly #key: (row: T) => string
  readonly #rows = new Map<string, Entry<T>>()
  /** In order of revision, as each deletion is inserted anew. */
  readonly #tombstones = new Map<string, Entry<T>>()
  readonly #pending = new Map<symbol, string>()
  readonly #followers = new Set<{ readonly name: string; revision: number }>()
  /** Every entry in order of revision, superseded ones too until `#compact`. */
  #history: Entry<T>[] = []
  #revision = 0
  #wake = Promise.withResolvers<void>()

  constructor(name: string, key: (row: T) => string) {
    this.name = name
    this.#key = key
  }

  /** Declares a writer; call the result once its first sync is complete. Nothing is pruned before all have done so. */
  initializer(writer: string): () => void {
    const token = Symbol(writer)
    this.#pending.set(token, writer)
    return () => {
      if (this.#pending.delete(token)) this.#notify()
    }
  }
  /** Writers that have not finished their first sync. */
  get pending(): readonly string[] {
    return [...this.#pending.values()]
  }
  get initialized(): boolean {
    return this.#pending.size === 0
  }
  get revision(): number {
    return this.#revision
  }
  get size(): number {
    return this.#rows.size
  }
  /** Deleted rows that some follower has not seen yet. */
  get tombstones(): number {
    return this.#tombstones.size
  }
  /** Followers and the revision each has reached. */
  get followers(): readonly { readonly name: string; readonly revision: number }[] {
    return [...this.#followers].map(({ name, revision }) => ({ name, revision }))
  }

  /** Writes a row and returns its revision. */
  put(row: T): number {
    const key = this.#key(row)
    const before = this.#rows.get(key) ?? this.#tombstones.get(key)
    this.#tombstones.delete(key)
    const entry = this.#record(key, row, false)
    this.#rows.set(key, entry)
    if (before !== undefined) before.row = undefined
    this.#notify()
    return entry.revision
  }
  /** Deletes a row and returns the revision of its tombstone, or the current revision when there was none. */
  delete(key: string): number {
    const old = this.#rows.get(key)
    if (!old) return this.#revision
    this.#rows.delete(key)
    const entry = this.#record(key, old.row, true)
    old.row = undefined
    if (this.#followers.size > 0) this.#tombstones.set(key, entry)
    else entry.row = undefined
    this.#notify()
    return entry.revision
  }
  get(key: string): T | undefined {
    return this.#rows.get(key)?.row
  }
  keyOf(row: T): string {
    return this.#key(row)
  }
  *values(): Generator<T> {
    for (const { row } of this.#rows.values()) if (row !== undefined) yield row
  }

  /** The rows; each iteration begins anew. */
  [Symbol.iterator](): Generator<T> {
    return this.values()
  }

  /** Registers a reader; dispose it, or tombstones are kept for it. */
  follow(name: string): Follower<T> {
    const place = { name, revision: 0 }
    this.#followers.add(place)
    return {
      name,
      get revision() {
        return place.revision
      },
      take: () => {
        const changes = this.#since(place.revision)
        place.revision = changes.revision
        this.#dropTombstones()
        return changes
      },
      [Symbol.dispose]: () => {
        this.#followers.delete(place)
        this.#dropTombstones()
      },
    }
  }
  /** Resolves at the next change, or when a writer has finished its first sync. */
  changed(): Promise<void> {
    return this.#wake.promise
  }

  #record(key: string, row: T | undefined, gone: boolean): Entry<T> {
    const entry: Entry<T> = { revision: ++this.#revision, key, row, gone }
    this.#history.push(entry)
    if (this.#history.length > 2 * (this.#rows.size + this.#tombstones.size) + SLACK) this.#compact(entry)
    return entry
  }

  /** `newest` is not in the maps yet. */
  #compact(newest: Entry<T>): void {
    this.#history = this.#history.filter(
      entry => entry === newest || (entry.key !== newest.key && this.#current(entry)),
    )
  }

  #current(entry: Entry<T>): boolean {
    return (entry.gone ? this.#tombstones : this.#rows).get(entry.key) === entry
  }

  #since(revision: number): Changes<T> {
    const updated: T[] = []
    const deleted: T[] = []
    for (let i = this.#firstAfter(revision); i < this.#history.length; i++) {
      const entry = this.#history[i]
      if (entry?.row !== undefined && this.#current(entry)) (entry.gone ? deleted : updated).push(entry.row)
    }
    // Who has seen nothing has nothing to delete.
    return { revision: this.#revision, updated, deleted: revision === 0 ? [] : deleted }
  }

  /** Index of the oldest entry newer than a revision, by bisection. */
  #firstAfter(revision: number): number {
    let low = 0
    let high = this.#history.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#history[middle]?.revision ?? 0) > revision) high = middle
      else low = middle + 1
    }
    return low
  }

  #dropTombstones(): void {
    const passed = Math.min(Infinity, ...[...this.#followers].map(follower => follower.revision))
    for (const [key, entry] of this.#tombstones) {
      if (entry.revision > passed) break
      this.#tombstones.delete(key)
      entry.row = undefined
    }
  }

  #notify(): void {
    const woken = this.#wake
    this.#wake = Promise.withResolvers<void>()
    woken.resolve()
  }
}
