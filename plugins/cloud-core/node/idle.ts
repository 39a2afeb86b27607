/** Since when blocks have been unused. Times are given. */
import type { Prefix } from '../../../daemon/kernel/kernel.ts'

export class IdleBlocks {
  readonly #delayMs: number
  /** In the order in which they became so. */
  readonly #since = new Map<Prefix, number>()

  /** `delayMs`: how long a block must have been unused to count. */
  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** `unused`: all that are now. Answers those that have been for long, the longest first, and when the next will have. */
  update(unused: readonly Prefix[], nowMs: number): { readonly idle: readonly Prefix[]; readonly changesAt: number } {
    const now = new Set(unused)
    for (const block of this.#since.keys()) if (!now.has(block)) this.#since.delete(block)
    for (const block of unused) if (!this.#since.has(block)) this.#since.set(block, nowMs)
    const idle: Prefix[] = []
    for (const [block, sinceMs] of this.#since) {
      const dueMs = sinceMs + this.#delayMs
      if (dueMs > nowMs) return { idle, changesAt: dueMs }
      idle.push(block)
    }
    return { idle, changesAt: Infinity }
  }
}
