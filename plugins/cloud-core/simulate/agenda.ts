/** Time that passes only when everything that is to happen before has happened: what is due at one moment happens in the order in which it was asked for. */

interface Entry {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined
}

export class Agenda {
  #nowMs = 0
  #order = 0
  readonly #heap: Entry[] = []

  /** Whole milliseconds since the beginning. */
  now(): number {
    return this.#nowMs
  }

  /** As Clock.after. */
  after(ms: number, callback: () => void): () => void {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, Math.ceil(ms)), order: this.#order++, callback }
    this.#push(entry)
    return () => {
      entry.callback = undefined
    }
  }

  /** Lets time pass up to then; how many things have happened. */
  run(untilMs: number): number {
    let happened = 0
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= untilMs; first = this.#heap[0]) {
      this.#pop()
      if (first.callback === undefined) continue
      this.#nowMs = first.atMs
      first.callback()
      happened++
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
    return happened
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || before(parent, entry)) break
      heap[at] = parent
      at = above
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      const [left, right] = [heap[below], heap[below + 1]]
      if (left !== undefined && right !== undefined && before(right, left)) below++
      const child = heap[below]
      if (child === undefined || before(last, child)) break
      heap[at] = child
      at = below
    }
    heap[at] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
