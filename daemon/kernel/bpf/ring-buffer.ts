/**
 * Reading a ring buffer map (Documentation/bpf/ringbuf.rst) through shared memory.
 *
 * quiet: the descriptor is polled, and a record is handled as soon as the kernel wakes us, which costs 6–7 µs each time.
 * busy: when wake-ups come close together, a timer reads what has gathered instead, until a look finds nothing.
 * A turn handles a bounded number of records and then lets the event loop go on. When the reader is too slow, programs
 * find no room and count what they lose: nothing here grows.
 */
import { closeSync } from 'node:fs'
import { type FdWatch, pollFd } from '../poll-fd.ts'
import { mapInfo } from './map-info.ts'
import { mapMemory, pageSize } from './mmap.ts'
import { duplicateFd } from './syscall.ts'

export interface RingBufferOptions {
  /**
   * A record lies in `length` bytes at `offset`, valid during the call only: the memory goes back to the kernel. It
   * should not throw: the record counts as read, the error is an uncaught exception, and reading goes on.
   */
  readonly onRecord: (view: DataView, offset: number, length: number) => void
  /** Records handled before the event loop has its turn. */
  readonly maxPerTurn?: number
  /** How often is looked under load. */
  readonly busyMs?: number
  /** For programs that do not always wake the reader (BPF_RB_NO_WAKEUP): looks this often even when quiet. */
  readonly idleMs?: number
}

const BUSY_BIT = 0x8000_0000
const DISCARD_BIT = 0x4000_0000
const HEADER = 8
/** Room is given back to the programs this often within a turn. */
const RECORDS_PER_RELEASE = 512

/** The one reader of a ring buffer, from construction until it is disposed. It goes on where the last reader stopped. */
export class RingBuffer implements Disposable {
  readonly #options: Required<Omit<RingBufferOptions, 'idleMs'>> & Pick<RingBufferOptions, 'idleMs'>
  readonly #resources: DisposableStack
  readonly #consumed: BigUint64Array
  readonly #produced: BigUint64Array
  readonly #headers: Int32Array
  readonly #data: DataView
  readonly #mask: number
  readonly #poll: FdWatch
  #position: number
  #mode: 'quiet' | 'busy' | 'closed' = 'quiet'
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #lastWake = 0

  /** `mapFd` stays the caller's. Throws SystemError. */
  constructor(mapFd: number, options: RingBufferOptions) {
    this.#options = { maxPerTurn: 2048, busyMs: 3, ...options }
    const page = pageSize()
    const size = mapInfo(mapFd).maxEntries
    using acquired = new DisposableStack()
    const fd = acquired.adopt(duplicateFd(mapFd), closeSync)
    const { buffer: consumer } = acquired.use(mapMemory(fd, page, { writable: true }))
    // The kernel maps the data twice in a row, so that no record is split at the end.
    const { buffer } = acquired.use(mapMemory(fd, page + 2 * size, { writable: false, offset: page }))
    this.#consumed = new BigUint64Array(consumer, 0, 1)
    this.#produced = new BigUint64Array(buffer, 0, 1)
    this.#headers = new Int32Array(buffer, page, size / 4)
    this.#data = new DataView(buffer, page, 2 * size)
    this.#mask = size - 1
    this.#position = Number(Atomics.load(this.#consumed, 0))
    this.#poll = pollFd(fd, () => this.#onWake())
    this.#resources = acquired.move()
    this.#lookNext(this.#options.idleMs)
  }

  /** How it waits for records: to be woken, or by looking again and again. */
  get mode(): 'quiet' | 'busy' | 'closed' {
    return this.#mode
  }

  /** Bytes waiting to be read, headers included. */
  get backlogBytes(): number {
    return this.#mode === 'closed' ? 0 : Number(Atomics.load(this.#produced, 0)) - this.#position
  }

  /** Handles what is there now, at most `limit` records; answers how many. */
  drain(limit = Number.MAX_SAFE_INTEGER): number {
    if (this.#isClosed()) return 0
    const end = Number(Atomics.load(this.#produced, 0))
    let handled = 0
    try {
      while (this.#position < end && handled < limit && this.#readOne()) {
        handled++
        if (this.#isClosed()) return handled
        if (handled % RECORDS_PER_RELEASE === 0) this.#release()
      }
    } finally {
      this.#release()
    }
    return handled
  }

  [Symbol.dispose](): void {
    if (this.#mode === 'closed') return
    this.#mode = 'closed'
    this.#stopLooking()
    this.#poll.close()
    this.#resources.dispose()
  }

  /** Handles the record at the position and passes it; false when it is still being written. */
  #readOne(): boolean {
    const at = this.#position & this.#mask
    const header = Atomics.load(this.#headers, at >> 2)
    if (header & BUSY_BIT) return false
    const length = header & ~(BUSY_BIT | DISCARD_BIT)
    this.#position += (length + HEADER + 7) & ~7
    if (!(header & DISCARD_BIT)) this.#options.onRecord(this.#data, at + HEADER, length)
    return true
  }

  /** Asked anew after each record: the handler may dispose of us. */
  #isClosed(): boolean {
    return this.#mode === 'closed'
  }

  #release(): void {
    if (!this.#isClosed()) Atomics.store(this.#consumed, 0, BigInt(this.#position))
  }

  #onWake(): void {
    const now = performance.now()
    const close = now - this.#lastWake < this.#options.busyMs
    this.#lastWake = now
    let handled = 0
    try {
      handled = this.drain(this.#options.maxPerTurn)
    } finally {
      // Nothing handled: a record at the head is being written, and polling would spin until it is.
      if (close || handled === 0 || handled === this.#options.maxPerTurn) this.#beBusy(handled)
    }
  }

  #beBusy(handled: number): void {
    if (this.#mode === 'closed') return
    if (this.#mode === 'quiet') this.#poll.stop()
    this.#mode = 'busy'
    this.#lookNext(handled === this.#options.maxPerTurn ? 'at once' : this.#options.busyMs)
  }

  #beQuiet(): void {
    if (this.#mode === 'closed') return
    if (this.#mode === 'busy') this.#poll.start()
    this.#mode = 'quiet'
    this.#lookNext(this.#options.idleMs)
  }

  /** A look that no wake-up asked for. */
  #look(): void {
    let handled = 0
    try {
      handled = this.drain(this.#options.maxPerTurn)
    } finally {
      if (handled === 0 && this.backlogBytes === 0) this.#beQuiet()
      else this.#beBusy(handled)
    }
  }

  /** There is one next look at most, or two would share what one turn may handle. */
  #lookNext(when: number | 'at once' | undefined): void {
    this.#stopLooking()
    if (when === 'at once') this.#immediate = setImmediate(() => this.#look())
    else if (when !== undefined) this.#timer = setTimeout(() => this.#look(), when)
  }

  #stopLooking(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }
}
