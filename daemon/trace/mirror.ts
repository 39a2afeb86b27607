/** A map that a trace has of its own, beside the live one whose entries it is given as far as they concern the packet. */
import { codec, type Layout } from '../kernel/bpf/layout.ts'
import { type EbpfMap, mapOfFd } from '../kernel/bpf/map.ts'

export class Mirror<K, V> implements Disposable {
  readonly #key: Layout<K>
  readonly #live: EbpfMap<K, V>
  readonly #own: EbpfMap<K, V>
  /** What the live map holds of the keys that were asked for, by the keys' bytes. */
  readonly #copies = new Map<string, readonly [K, V]>()

  /** Both descriptors stay the caller's. */
  constructor(fds: { readonly live: number; readonly own: number }, key: Layout<K>, value: Layout<V>) {
    using stack = new DisposableStack()
    this.#key = key
    this.#live = stack.use(mapOfFd(fds.live, codec(key, value)))
    this.#own = mapOfFd(fds.own, codec(key, value))
    stack.move()
  }

  /** Takes over what the live map holds of a key. Whether that is something, and was not known. */
  take(key: K): boolean {
    const text = this.#textOf(key)
    if (this.#copies.has(text)) return false
    const value = this.#live.lookup(key)
    if (value === undefined) return false
    this.#copies.set(text, [key, value])
    return true
  }

  takeAll(): void {
    for (const [key, value] of this.#live.entries()) this.#copies.set(this.#textOf(key), [key, value])
  }

  /** What was taken over of a key. */
  taken(key: K): V | undefined {
    return this.#copies.get(this.#textOf(key))?.[1]
  }

  /** What the programs have made of it. */
  lookup(key: K): V | undefined {
    return this.#own.lookup(key)
  }
  entries(): (readonly [K, V])[] {
    return [...this.#own.entries()]
  }

  /** Makes the trace's map what was taken over, and nothing else. */
  refill(): void {
    this.#own.deleteBatch(this.entries().map(([key]) => key))
    this.#own.updateBatch([...this.#copies.values()])
  }

  forget(): void {
    this.#copies.clear()
  }

  [Symbol.dispose](): void {
    this.#live[Symbol.dispose]()
    this.#own[Symbol.dispose]()
  }

  #textOf(key: K): string {
    const bytes = Buffer.alloc(this.#key.size)
    this.#key.encode(new DataView(bytes.buffer, bytes.byteOffset), 0, key)
    return bytes.toString('hex')
  }
}
