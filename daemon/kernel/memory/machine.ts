/**
 * A machine in memory: namespaces by path, eBPF maps by name, a boot id. Processes come and go (`process()`), what they
 * left in the kernel stays, and `toString()` prints all of it for comparisons.
 */
import { randomUUID } from 'node:crypto'
import type { BpfMap, FeatureName, NetnsId } from '../kernel.ts'
import { MemoryKernel } from './kernel.ts'
import { MemoryMap } from './map.ts'
import { Namespace } from './namespace.ts'
import { printNamespace } from './print.ts'
import { refuse } from './refuse.ts'

export interface MachineOptions {
  readonly bootId?: string
  /** What a blocking request waits for, in place of the kernel's grace period; a turn of the event loop by default. */
  readonly gracePeriod?: () => Promise<void>
  /** What this kernel has not; everything else is present. */
  readonly lacks?: readonly FeatureName[]
}

export class Machine {
  readonly bootId: string
  readonly host: Namespace
  readonly gracePeriod: () => Promise<void>
  readonly lacks: ReadonlySet<FeatureName>
  readonly #namespaces = new Map<string, Namespace>()
  readonly #maps = new Map<string, MemoryMap<never, never>>()
  #lastInode = 0x1000

  constructor(options: MachineOptions = {}) {
    this.bootId = options.bootId ?? randomUUID()
    this.gracePeriod = options.gracePeriod ?? (() => new Promise(resolve => setImmediate(resolve)))
    this.lacks = new Set(options.lacks)
    this.host = new Namespace(this.#nextId())
    const lo = this.host.links.get(1)
    if (lo) lo.up = true
    this.#namespaces.set('/proc/self/ns/net', this.host)
  }

  /** The kernel as one process sees it; ends with that process, while the machine stays. */
  process(): MemoryKernel {
    return new MemoryKernel(this)
  }

  get namespacePaths(): readonly string[] {
    return [...this.#namespaces.keys()]
  }

  addNamespace(path: string): NetnsId {
    if (this.#namespaces.has(path)) throw refuse('EEXIST', `add namespace ${path}`)
    const namespace = new Namespace(this.#nextId())
    this.#namespaces.set(path, namespace)
    return namespace.id
  }
  /** The last user of a namespace is gone: its links vanish, and their other ends with them. */
  removeNamespace(path: string): void {
    this.#namespaces.get(path)?.destroy()
    this.#namespaces.delete(path)
  }
  /** The file is gone while a process still holds the namespace. */
  unlinkNamespace(path: string): void {
    this.#namespaces.delete(path)
  }
  /** Throws ENOENT. */
  namespaceAt(path: string): Namespace {
    const namespace = this.#namespaces.get(path)
    if (!namespace) throw refuse('ENOENT', `open namespace ${path}`)
    return namespace
  }

  /** The map of that name, made at its first use: pinned maps outlive the process that made them. */
  map<K, V>(name: string, maxEntries: number): BpfMap<K, V> {
    const made = this.#maps.get(name) ?? new MemoryMap<never, never>(name, maxEntries)
    this.#maps.set(name, made)
    // The name stands for one type of entry, as a pin does.
    return made as unknown as BpfMap<K, V>
  }

  toString(): string {
    const namespaces = [...this.#namespaces].map(([path, ns]) => `${path}\n${printNamespace(ns)}`)
    const maps = [...this.#maps.values()].map(map => `map ${map.name}\n${printMap(map)}`)
    return [...namespaces, ...maps].join('\n')
  }

  #nextId(): NetnsId {
    return { dev: 4, ino: ++this.#lastInode }
  }
}

function printMap(map: BpfMap<unknown, unknown>): string {
  return [...map.entries()]
    .map(([key, value]) => `  ${JSON.stringify(key)} ${JSON.stringify(value)}\n`)
    .sort()
    .join('')
}
