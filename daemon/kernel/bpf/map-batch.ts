/**
 * Operations on many entries of a map: the batch commands, and what stands in for them where a map type or a kernel
 * has none. Everything here works on bytes; `map.ts` encodes and decodes.
 */
import { errnoValue, Memory } from '../sys.ts'
import { command, type CommandName, type MapType } from './codes.ts'
import { BpfError, bpfRaw, ENOTSUPP } from './syscall.ts'

/** The map an operation works on, with the sizes of the transfer. */
export interface Place {
  /** The map's descriptor, asked for before each use: throws once the map is closed. */
  readonly fd: () => number
  readonly object: string
  readonly type: MapType | 'other'
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
}

/** Entries as they lie in `view`; `key` and `value` give offsets. Valid until the next chunk is asked for. */
export interface Chunk {
  readonly view: DataView
  readonly count: number
  readonly key: (i: number) => number
  readonly value: (i: number) => number
}

/** Bytes of keys and values handed to the kernel at once: large enough that the call itself no longer counts. */
const CHUNK_BYTES = 1 << 20
const ATTR_SIZE = 56
const IN_BATCH = 0
const OUT_BATCH = 8
const KEYS = 16
const VALUES = 24
const COUNT = 32
const FD = 36

/** Memory for a batch: attribute, the kernel's token of where to go on, keys and values. */
class BatchMemory implements Disposable {
  readonly memory: Memory
  readonly view: DataView
  readonly capacity: number
  readonly token: number
  readonly #place: Place
  readonly #keys: number
  readonly #values: number

  constructor(place: Place, capacity: number, withValues = true) {
    this.#place = place
    this.capacity = capacity
    this.token = ATTR_SIZE
    this.#keys = this.token + align(Math.max(8, place.keySize))
    this.#values = this.#keys + align(capacity * place.keySize)
    this.memory = new Memory(this.#values + (withValues ? capacity * place.valueSize : 0))
    this.view = this.memory.view
    this.view.setBigUint64(KEYS, this.addressOf(this.#keys), true)
    if (withValues) this.view.setBigUint64(VALUES, this.addressOf(this.#values), true)
  }
  addressOf(offset: number): bigint {
    return this.memory.address + BigInt(offset)
  }
  key(i: number): number {
    return this.#keys + i * this.#place.keySize
  }
  value(i: number): number {
    return this.#values + i * this.#place.valueSize
  }
  /** Carries a batch command out over `count` entries from `first`; answers errno (0: none) and the entries done. */
  call(name: CommandName, count: number, first = 0): { readonly errno: number; readonly done: number } {
    if (first > 0) this.view.setBigUint64(KEYS, this.addressOf(this.key(first)), true)
    this.view.setUint32(FD, this.#place.fd(), true)
    this.view.setUint32(COUNT, count, true)
    const result = bpfRaw(command[name], this.memory, ATTR_SIZE)
    if (first > 0) this.view.setBigUint64(KEYS, this.addressOf(this.key(0)), true)
    return { errno: result < 0 ? -result : 0, done: this.view.getUint32(COUNT, true) }
  }
  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]()
  }
}

/** Batch updates and deletes; remembers when the map's type has none. */
export class BatchWriter {
  readonly #place: Place
  #supported = true
  constructor(place: Place) {
    this.#place = place
  }

  /** Writes `total` entries; false where nothing was done and single updates must do. Throws BpfError. */
  update(total: number, encode: (view: DataView, key: number, value: number, i: number) => void): boolean {
    return this.#each(total, true, (batch, first, count) => {
      for (let i = 0; i < count; i++) encode(batch.view, batch.key(i), batch.value(i), first + i)
      const { errno, done } = batch.call('MAP_UPDATE_BATCH', count)
      if (errno === 0) return true
      if (errno === ENOTSUPP && first === 0) return false
      throw new BpfError('MAP_UPDATE_BATCH', this.#place.object, errno, `entry ${first + done} of ${total}`)
    })
  }

  /** As `update`; keys that are not there are passed over. */
  delete(total: number, encode: (view: DataView, key: number, i: number) => void): boolean {
    return this.#each(total, false, (batch, first, count) => {
      for (let i = 0; i < count; i++) encode(batch.view, batch.key(i), first + i)
      // The kernel stops at a key that is absent: go on behind it.
      for (let next = 0; next < count; ) {
        const { errno, done } = batch.call('MAP_DELETE_BATCH', count - next, next)
        if (errno === 0) return true
        if (errno === ENOTSUPP && first === 0 && next === 0) return false
        next += done + 1
        if (errno !== ENOENT)
          throw new BpfError('MAP_DELETE_BATCH', this.#place.object, errno, `key ${first + next - 1} of ${total}`)
      }
      return true
    })
  }

  #each(
    total: number,
    withValues: boolean,
    carryOut: (batch: BatchMemory, first: number, count: number) => boolean,
  ): boolean {
    if (!this.#supported || total < 2) return false
    using batch = new BatchMemory(this.#place, Math.min(total, chunkEntries(this.#place)), withValues)
    for (let first = 0; first < total; first += batch.capacity) {
      this.#supported = carryOut(batch, first, Math.min(batch.capacity, total - first))
      if (!this.#supported) return false
    }
    return true
  }
}

/**
 * All entries of a map. A hash is walked by buckets, an array by index: neither minds deletes meanwhile. Other types go
 * from key to key, and the kernel starts anew when the last key has gone: those are read whole first, each key once.
 */
export function chunks(place: Place): Generator<Chunk, void, undefined> {
  return startsAnew(place.type) ? onceEach(place, walk(place)) : walk(place)
}

function* walk(place: Place): Generator<Chunk, void, undefined> {
  using batch = new BatchMemory(place, Math.min(place.maxEntries, chunkEntries(place)))
  const first = readBatch(place, batch, true)
  yield* first.outcome === 'unsupported' ? steps(place) : restOf(place, batch, first)
}

function* restOf(place: Place, batch: BatchMemory, first: Read): Generator<Chunk, void, undefined> {
  for (let read = first; ; read = readBatch(place, batch, false)) {
    if (read.outcome === 'bucket-too-large') {
      // Nothing was passed over: the token still names the bucket that did not fit.
      using larger = new BatchMemory(place, batch.capacity * 2)
      larger.memory.bytes.set(batch.memory.bytes.subarray(batch.token, batch.token + 8), larger.token)
      yield* restOf(place, larger, readBatch(place, larger, read.fresh))
      return
    }
    if (read.count > 0)
      yield { view: batch.view, count: read.count, key: i => batch.key(i), value: i => batch.value(i) }
    if (read.outcome !== 'more') return
  }
}

interface Read {
  readonly outcome: 'more' | 'end' | 'unsupported' | 'bucket-too-large'
  readonly count: number
  /** The walk had not begun before this read. */
  readonly fresh: boolean
}

/** Of a call that is to be made again. */
const MOST_TRIES = 10

function readBatch(place: Place, batch: BatchMemory, fresh: boolean): Read {
  batch.view.setBigUint64(IN_BATCH, fresh ? 0n : batch.addressOf(batch.token), true)
  batch.view.setBigUint64(OUT_BATCH, batch.addressOf(batch.token), true)
  const { errno, done } = askAgain(() => batch.call('MAP_LOOKUP_BATCH', batch.capacity))
  // EINTR: entries went while they were read; before Linux 6.6 the kernel gives up then and wants to be asked again.
  if (errno === 0 || errno === EINTR) return { outcome: 'more', count: done, fresh }
  if (errno === ENOENT) return { outcome: 'end', count: done, fresh }
  if (errno === ENOSPC) return { outcome: 'bucket-too-large', count: 0, fresh }
  if (errno === ENOTSUPP && fresh) return { outcome: 'unsupported', count: 0, fresh }
  throw new BpfError('MAP_LOOKUP_BATCH', place.object, errno)
}

/** EAGAIN, which Linux 6.18 was seen to answer now and then, says that nothing was read. */
function askAgain<T extends { readonly errno: number }>(ask: () => T): T {
  for (let tries = 1; ; tries++) {
    const answer = ask()
    if (answer.errno !== EAGAIN || tries === MOST_TRIES) return answer
  }
}

/** One entry at a time, for types without batch commands. */
function* steps(place: Place): Generator<Chunk, void, undefined> {
  using step = new BatchMemory(place, 1)
  const entry = { view: step.view, count: 1, key: () => step.key(0), value: () => step.value(0) }
  for (let begun = false; nextKey(place, step, begun); begun = true) if (lookup(place, step)) yield entry
}

/** Reads everything before it hands anything over, and passes over keys that come again. */
function* onceEach(place: Place, walked: Iterable<Chunk>): Generator<Chunk, void, undefined> {
  const seen = new Set<string>()
  const limit = STARTS_ANEW_LIMIT * (place.maxEntries + 1)
  const read: Chunk[] = []
  let count = 0
  for (const chunk of walked) {
    count += chunk.count
    if (count > limit) throw new BpfError('MAP_LOOKUP_BATCH', place.object, EBUSY, 'changes faster than it can be read')
    read.push(copyUnseen(place, chunk, seen))
  }
  yield* read
}

function copyUnseen({ keySize, valueSize }: Place, chunk: Chunk, seen: Set<string>): Chunk {
  const from = Buffer.from(chunk.view.buffer, chunk.view.byteOffset, chunk.view.byteLength)
  const stride = keySize + valueSize
  const to = new Uint8Array(chunk.count * stride)
  let count = 0
  for (let i = 0; i < chunk.count; i++) {
    const key = from.toString('latin1', chunk.key(i), chunk.key(i) + keySize)
    if (seen.has(key)) continue
    seen.add(key)
    to.set(from.subarray(chunk.key(i), chunk.key(i) + keySize), count * stride)
    to.set(from.subarray(chunk.value(i), chunk.value(i) + valueSize), count * stride + keySize)
    count++
  }
  return { view: new DataView(to.buffer), count, key: i => i * stride, value: i => i * stride + keySize }
}

/** A walk that starts anew at every delete is given up after this many times the map's size. */
const STARTS_ANEW_LIMIT = 16

/** The single-element commands through a batch's memory: attribute {fd, key, value or next key, flags}. */
function nextKey(place: Place, step: BatchMemory, begun: boolean): boolean {
  return single(place, 'MAP_GET_NEXT_KEY', begun ? step.addressOf(step.key(0)) : 0n, step.addressOf(step.key(0)), step)
}
function lookup(place: Place, step: BatchMemory): boolean {
  return single(place, 'MAP_LOOKUP_ELEM', step.addressOf(step.key(0)), step.addressOf(step.value(0)), step)
}
function single(place: Place, name: CommandName, key: bigint, result: bigint, { memory, view }: BatchMemory): boolean {
  memory.bytes.fill(0, 0, ATTR_SIZE)
  view.setUint32(0, place.fd(), true)
  view.setBigUint64(8, key, true)
  view.setBigUint64(16, result, true)
  const errno = -bpfRaw(command[name], memory, 32)
  if (errno <= 0) return true
  if (errno === ENOENT) return false
  throw new BpfError(name, place.object, errno)
}

function startsAnew(type: MapType | 'other'): boolean {
  return type === 'lpm-trie' || type === 'other'
}
function chunkEntries(place: Place): number {
  return Math.max(64, Math.floor(CHUNK_BYTES / (place.keySize + place.valueSize)))
}
function align(size: number): number {
  return (size + 7) & ~7
}

const ENOENT = errnoValue('ENOENT')
const ENOSPC = errnoValue('ENOSPC')
const EBUSY = errnoValue('EBUSY')
const EINTR = errnoValue('EINTR')
const EAGAIN = errnoValue('EAGAIN')
