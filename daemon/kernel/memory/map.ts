/** A `BpfMap` in memory: a hash map by the text form of its keys, with the kernel's limit on entries. */
import type { BpfMap } from '../kernel.ts'
import { refuse } from './refuse.ts'

export class MemoryMap<K, V> implements BpfMap<K, V> {
  readonly name: string
  readonly maxEntries: number
  readonly #entries = new Map<string, readonly [K, V]>()

  constructor(name: string, maxEntries: number) {
    this.name = name
    this.maxEntries = maxEntries
  }

  lookup(key: K): V | undefined {
    return this.#entries.get(textOf(key))?.[1]
  }
  /** Throws E2BIG when the map is full, as a hash map does (bpf(2)). */
  update(key: K, value: V): void {
    const text = textOf(key)
    if (!this.#entries.has(text) && this.#entries.size >= this.maxEntries) throw refuse('E2BIG', `update ${this.name}`)
    this.#entries.set(text, [key, value])
  }
  delete(key: K): void {
    this.#entries.delete(textOf(key))
  }
  updateBatch(entries: Iterable<readonly [K, V]>): void {
    for (const [key, value] of entries) this.update(key, value)
  }
  deleteBatch(keys: Iterable<K>): void {
    for (const key of keys) this.delete(key)
  }
  entries(): Iterable<readonly [K, V]> {
    return [...this.#entries.values()]
  }
}

function textOf(key: unknown): string {
  return JSON.stringify(key, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
}
