/**
 * eBPF maps with typed keys and values. Single operations reuse one piece of memory a map; operations on many entries
 * go through the batch commands where the kernel has them for the map's type (`map-batch.ts`).
 */
import { closeSync } from 'node:fs'
import type { BpfMap } from '../kernel.ts'
import { errnoValue, Memory, systemError } from '../sys.ts'
import { command, type CommandName } from './codes.ts'
import type { Codec } from './layout.ts'
import { BatchWriter, chunks, type Place } from './map-batch.ts'
import { createMap, isPerCpu, mapInfo, type MapInfo, type MapSpec, possibleCpus, transferSize } from './map-info.ts'
import { mapMemory, type MappedMemory } from './mmap.ts'
import { bpf, BpfError, bpfRaw, duplicateFd, fdById } from './syscall.ts'
import { getPin } from './pin.ts'

const ATTR_SIZE = 32
/** A delete takes no value: the attribute must end before it. */
const DELETE_ATTR_SIZE = 16
const FLAGS = 24
const KEY = ATTR_SIZE
const NOEXIST = 1n

/**
 * A map. It owns its descriptor and memory until disposed; used afterwards it throws SystemError EBADF. Errors are else
 * BpfError, with the map's name. Maps of maps and program arrays take descriptors and give ids (both `u32`).
 */
export class EbpfMap<K, V> implements BpfMap<K, V>, Disposable {
  readonly info: MapInfo
  readonly #fd: number
  readonly #codec: Codec<K, V>
  readonly #memory: Memory
  readonly #view: DataView
  readonly #value: number
  readonly #batch: BatchWriter
  #open = true

  /** Takes the descriptor over, also when it throws because the codec does not fit the map. */
  constructor(fd: number, layout: Codec<K, V>) {
    this.#fd = fd
    try {
      this.info = mapInfo(fd)
      checkLayout(this.info, layout)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    this.#codec = layout
    this.#value = KEY + ((layout.keySize + 7) & ~7)
    this.#memory = new Memory(this.#value + layout.valueSize)
    this.#view = this.#memory.view
    this.#view.setUint32(0, fd, true)
    this.#view.setBigUint64(8, this.#memory.address + BigInt(KEY), true)
    this.#view.setBigUint64(16, this.#memory.address + BigInt(this.#value), true)
    this.#batch = new BatchWriter(this.#place())
  }

  get name(): string {
    return this.info.name
  }
  get maxEntries(): number {
    return this.info.maxEntries
  }
  get fd(): number {
    this.#checkOpen()
    return this.#fd
  }

  lookup(key: K): V | undefined {
    this.#checkOpen()
    this.#codec.encodeKey(this.#view, KEY, key)
    return this.#call('MAP_LOOKUP_ELEM', ENOENT) ? this.#codec.decodeValue(this.#view, this.#value) : undefined
  }

  update(key: K, value: V): void {
    this.#checkOpen()
    this.#codec.encodeKey(this.#view, KEY, key)
    this.#codec.encodeValue(this.#view, this.#value, value)
    this.#call('MAP_UPDATE_ELEM', 0)
  }

  /** Writes unless the key is there already (BPF_NOEXIST); false when it is. */
  add(key: K, value: V): boolean {
    this.#codec.encodeKey(this.#view, KEY, key)
    this.#codec.encodeValue(this.#view, this.#value, value)
    this.#view.setBigUint64(FLAGS, NOEXIST, true)
    try {
      return this.#call('MAP_UPDATE_ELEM', EEXIST)
    } finally {
      this.#view.setBigUint64(FLAGS, 0n, true)
    }
  }

  /** Arrays have no absence: deleting from one throws EINVAL. */
  delete(key: K): void {
    this.#checkOpen()
    this.#codec.encodeKey(this.#view, KEY, key)
    this.#call('MAP_DELETE_ELEM', ENOENT, DELETE_ATTR_SIZE)
  }

  /** On an error the entries before the one it names are written. */
  updateBatch(entries: Iterable<readonly [K, V]>): void {
    this.#checkOpen()
    const list = Array.isArray(entries) ? (entries as (readonly [K, V])[]) : [...entries]
    const done = this.#batch.update(list.length, (view, key, value, i) => {
      const entry = list[i] as readonly [K, V] // i < list.length
      this.#codec.encodeKey(view, key, entry[0])
      this.#codec.encodeValue(view, value, entry[1])
    })
    if (!done) for (const [key, value] of list) this.update(key, value)
  }

  deleteBatch(keys: Iterable<K>): void {
    this.#checkOpen()
    const list = Array.isArray(keys) ? (keys as K[]) : [...keys]
    const done = this.#batch.delete(list.length, (view, key, i) => this.#codec.encodeKey(view, key, list[i] as K))
    if (!done) for (const key of list) this.delete(key)
  }

  /**
   * Every entry that is there throughout exactly once; one that comes or goes meanwhile at most once. The map may be
   * changed while iterating.
   */
  *entries(): Generator<readonly [K, V], void, undefined> {
    for (const { view, count, key, value } of chunks(this.#place())) {
      for (let i = 0; i < count; i++)
        yield [this.#codec.decodeKey(view, key(i)), this.#codec.decodeValue(view, value(i))]
    }
  }

  /** As `entries`, without decoding: for sweeps over many entries. The offsets are valid during the call only. */
  scan(visit: (view: DataView, key: number, value: number) => void): void {
    for (const { view, count, key, value } of chunks(this.#place())) {
      for (let i = 0; i < count; i++) visit(view, key(i), value(i))
    }
  }

  /** No further update or delete by bpf(2); programs may still write. */
  freeze(): void {
    bpf('MAP_FREEZE', this.#object(), 4, attr => attr.setUint32(0, this.fd, true))
  }

  /**
   * Values of an array made with `mapFlag.MMAPABLE`, one after the other, each padded to 8 bytes, shared with programs.
   * Throws SystemError EINVAL for another map.
   */
  mmap(): MappedMemory {
    return mapMemory(this.fd, ((this.info.valueSize + 7) & ~7) * this.info.maxEntries, { writable: true })
  }

  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#memory[Symbol.dispose]()
    closeSync(this.#fd)
  }

  /** First of all: the memory has been given back, and the descriptor's number may be another object's by now. */
  #checkOpen(): void {
    if (!this.#open) throw systemError(`use ${this.#object()}`, errnoValue('EBADF'), 'the map was closed')
  }

  #call(name: CommandName, absent: number, size = ATTR_SIZE): boolean {
    const result = bpfRaw(command[name], this.#memory, size)
    if (result >= 0) return true
    if (-result === absent) return false
    throw new BpfError(name, this.#object(), -result)
  }

  #object(): string {
    return `map ${this.info.name}`
  }

  #place(): Place {
    return {
      fd: () => this.fd,
      object: this.#object(),
      type: this.info.type,
      keySize: this.#codec.keySize,
      valueSize: this.#codec.valueSize,
      maxEntries: this.info.maxEntries,
    }
  }
}

const ENOENT = errnoValue('ENOENT')
const EEXIST = errnoValue('EEXIST')

/** Creates a map; sizes come from the specification, the codec must fit them. */
export function newMap<K, V>(spec: MapSpec, layout: Codec<K, V>): EbpfMap<K, V> {
  return new EbpfMap(createMap(spec), layout)
}

/** A map of its own over another's descriptor, which stays the caller's. */
export function mapOfFd<K, V>(fd: number, layout: Codec<K, V>): EbpfMap<K, V> {
  return new EbpfMap(duplicateFd(fd), layout)
}

/** The map pinned at a path; undefined when nothing is there. */
export function mapFromPin<K, V>(path: string, layout: Codec<K, V>): EbpfMap<K, V> | undefined {
  const fd = getPin(path)
  return fd === undefined ? undefined : new EbpfMap(fd, layout)
}

/** The map with an id; undefined when there is none. */
export function mapFromId<K, V>(id: number, layout: Codec<K, V>): EbpfMap<K, V> | undefined {
  const fd = fdById('MAP_GET_FD_BY_ID', id)
  return fd === undefined ? undefined : new EbpfMap(fd, layout)
}

function checkLayout(info: MapInfo, layout: Pick<Codec<unknown, unknown>, 'keySize' | 'valueSize'>): void {
  const valueSize = transferSize(info, isPerCpu(info) ? possibleCpus() : 1)
  if (info.keySize === layout.keySize && valueSize === layout.valueSize) return
  throw new RangeError(
    `map ${info.name} has keys of ${info.keySize} and values of ${valueSize} bytes; ` +
      `the program expects ${layout.keySize} and ${layout.valueSize}`,
  )
}
