/** Random choices that can be made again: the seed comes from CW_SEED, or is new and stands in `replay`. */
export class Random {
  /** Says how to get the same choices again; belongs into every message of a failing random test. */
  readonly replay: string
  #state: number

  constructor(seed = Number(process.env.CW_SEED ?? Math.floor(Math.random() * 2 ** 32))) {
    this.#state = seed
    this.replay = `replay with CW_SEED=${seed}`
  }

  /** A whole number from 0 to one less than the limit (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  pick<T>(list: readonly T[]): T {
    const value = list[this.below(list.length)]
    if (value === undefined) throw new RangeError('cannot pick from an empty list')
    return value
  }

  /** True with a likelihood from 0 to 1. */
  chance(likelihood: number): boolean {
    return this.below(2 ** 20) < likelihood * 2 ** 20
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  /** A copy in which one to four times bytes are changed, dropped, repeated or cut off. */
  mutate(original: Buffer): Buffer {
    let bytes = Buffer.from(original)
    for (let i = this.below(4); i >= 0; i--) {
      const at = this.below(bytes.length + 1)
      const to = Math.min(bytes.length, at + this.below(20))
      const changes = [
        () => Buffer.concat([bytes.subarray(0, at), this.bytes(to - at), bytes.subarray(to)]),
        () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]),
        () => Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]),
        () => Buffer.from(bytes.subarray(0, at)),
      ]
      bytes = this.pick(changes)()
    }
    return bytes
  }
}
