/** How long to wait before the next attempt: longer after each failure, and never all nodes at the same moment. */

const SHORTEST_MS = 200
const LONGEST_MS = 30_000

export class Backoff {
  readonly #random: () => number
  #failures = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** The wait after one more failure, at least what the server asked for. From half to all of twice the one before. */
  next(askedMs = 0): number {
    const most = Math.min(LONGEST_MS, SHORTEST_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 16)
    const wait = most * (0.5 + this.#random() / 2)
    // Those who were told the same time do not come back together either.
    return askedMs === 0 ? wait : askedMs * (1 + this.#random() / 10) + wait
  }

  succeeded(): void {
    this.#failures = 0
  }
}
