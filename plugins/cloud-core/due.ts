/** Names with the times at which they are due, soonest first; a name has one time. */

interface Entry {
  readonly atMs: number
  readonly name: string
}

export class Due {
  /** A binary heap; entries of names that got another time since are skipped. */
  readonly #heap: Entry[] = []
  readonly #times = new Map<string, number>()

  /** The name is due then, or earlier if it is due earlier already. */
  at(name: string, atMs: number): void {
    const before = this.#times.get(name)
    if (before !== undefined && before <= atMs) return
    this.#times.set(name, atMs)
    this.#push({ atMs, name })
  }

  delete(name: string): void {
    this.#times.delete(name)
  }

  /** When the next is due; undefined when none is. */
  nextMs(): number | undefined {
    this.#skip()
    return this.#heap[0]?.atMs
  }

  /** Takes out all that are due, in order of time and then of name. */
  take(nowMs: number): string[] {
    const taken: Entry[] = []
    for (this.#skip(); (this.#heap[0]?.atMs ?? Infinity) <= nowMs; this.#skip()) {
      const entry = this.#pop()
      if (entry === undefined) break
      this.#times.delete(entry.name)
      taken.push(entry)
    }
    return taken.sort(order).map(({ name }) => name)
  }

  #skip(): void {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#times.get(first.name) === first.atMs) return
      this.#pop()
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (order(heap[above] ?? entry, entry) <= 0) break
      heap[at] = heap[above] ?? entry
      at = above
    }
    heap[at] = entry
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      const below = lesser(heap, 2 * at + 1, 2 * at + 2)
      const entry = heap[below]
      if (entry === undefined || order(last, entry) <= 0) break
      heap[at] = entry
      at = below
    }
    heap[at] = last
    return first
  }
}

function lesser(heap: readonly Entry[], a: number, b: number): number {
  const [x, y] = [heap[a], heap[b]]
  return x !== undefined && y !== undefined && order(y, x) < 0 ? b : a
}

function order(a: Entry, b: Entry): number {
  return a.atMs - b.atMs || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}
