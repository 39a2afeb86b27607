/** The few of many that rank highest. Pure. */

/** As many of a list as can be asked for. */
export const MOST_ROWS = 10_000

export class Top<T> {
  readonly #most: number
  readonly #kept: { readonly rank: number; readonly item: T }[] = []
  #offered = 0

  constructor(most: number) {
    this.#most = most
  }

  /** How many were offered. */
  get offered(): number {
    return this.#offered
  }

  /** Of those that rank alike, who came first goes first. */
  offer(rank: number, item: T): void {
    this.#offered++
    if (this.#kept.length >= this.#most && rank <= (this.#kept.at(-1)?.rank ?? Infinity)) return
    let [from, to] = [0, this.#kept.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#kept[middle]?.rank ?? -Infinity) >= rank) from = middle + 1
      else to = middle
    }
    this.#kept.splice(from, 0, { rank, item })
    if (this.#kept.length > this.#most) this.#kept.pop()
  }

  /** Highest first. */
  list(): T[] {
    return this.#kept.map(({ item }) => item)
  }
}
