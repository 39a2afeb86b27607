/**
 * Desired state: rows keyed by a string, each change stamped with a revision. A synchronous block is the transaction:
 * readers woken by `changed()` run after it.
 */
export class Table<T> {
  readonly name: string
  readonly #key: (row: T) => string
  readonly #rows = new Map<string, { rev: number; row: T }>()
  readonly #gone = new Map<string, { rev: number; row: T }>()
  readonly #pending = new Set<string>()
  #revision = 0
  #wake = Promise.withResolvers<void>()

  constructor(name: string, key: (row: T) => string) {
    this.name = name
    this.#key = key
  }

  /** Declares a writer; call the result once its first sync is complete. Nothing is pruned before all have done so. */
  initializer(writer: string): () => void {
    const token = `${writer}#${this.#pending.size}`
    this.#pending.add(token)
    return () => {
      if (this.#pending.delete(token)) this.#bump()
    }
  }
  /** Writers that have not finished their first sync. */
  get pending(): readonly string[] {
    return [...this.#pending].map(t => t.slice(0, t.lastIndexOf('#')))
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

  /** Writes a row and returns its revision. */
  put(row: T): number {
    const key = this.#key(row)
    this.#rows.set(key, { rev: ++this.#revision, row })
    this.#gone.delete(key)
    this.#bump()
    return this.#revision
  }
  /** Deletes a row and returns the revision of its tombstone, or the current revision when there was none. */
  delete(key: string): number {
    const old = this.#rows.get(key)
    if (!old) return this.#revision
    this.#rows.delete(key)
    this.#gone.set(key, { rev: ++this.#revision, row: old.row })
    this.#bump()
    return this.#revision
  }
  get(key: string): T | undefined {
    return this.#rows.get(key)?.row
  }
  keyOf(row: T): string {
    return this.#key(row)
  }
  *values(): Generator<T> {
    for (const r of this.#rows.values()) yield r.row
  }

  /** Rows and tombstones newer than `since`, oldest first; a key appears once however often it changed. */
  changes(since: number): {
    readonly revision: number
    readonly updated: readonly T[]
    readonly deleted: readonly T[]
  } {
    const newer = (m: Map<string, { rev: number; row: T }>): T[] =>
      [...m.values()]
        .filter(r => r.rev > since)
        .sort((a, b) => a.rev - b.rev)
        .map(r => r.row)
    return { revision: this.#revision, updated: newer(this.#rows), deleted: newer(this.#gone) }
  }
  /** Resolves at the next change, or when the last writer has finished its first sync. */
  changed(): Promise<void> {
    return this.#wake.promise
  }

  #bump(): void {
    const w = this.#wake
    this.#wake = Promise.withResolvers<void>()
    w.resolve()
  }
}
