/**
 * The attachments that were answered, on disk. Append-only between compactions; `add` resolves once its record is on the
 * disk, and all that wait at one time share one fdatasync. At opening and when it has grown the journal is rewritten:
 * temporary file, fsync, rename, fsync of the directory. Another boot id makes all entries but notes void, since no pod
 * outlives a boot.
 */
import { dirname } from 'node:path'
import type { Lease, Logger } from '../plugin.ts'
import type { Attachment } from './attachment.ts'
import { AttachmentError } from './errors.ts'
import type { JournalFiles } from './journal-files.ts'
import { type Decoded, decode, encodeHeader, encodeRecord, JOURNAL_VERSION } from './journal-format.ts'
import { type JournalNote, type JournalRecord, parseRecord } from './journal-record.ts'

/** Turns a payload of one version into one of the next. */
export type Migration = (payload: unknown) => unknown

export interface JournalOptions {
  readonly path: string
  readonly bootId: string
  readonly files: JournalFiles
  readonly log: Logger
  /** Microseconds since 1970. */
  readonly now: () => number
  /** The journal is rewritten when it is larger than this and more than half of it is stale. Bytes. */
  readonly compactBytes?: number
  /** By the version they start from; one for each older version. */
  readonly migrations?: ReadonlyMap<number, Migration>
}

/** An address that was given back, and when: µs since 1970. */
export interface ReleasedLease {
  readonly lease: Lease
  readonly time: number
}

/** The longest an address may cool down: an hour. */
const KEEP_RELEASED_US = 3600e6

/** What opening found that was not as it was written. */
export interface JournalDamage {
  readonly repaired: number
  readonly lost: number
  readonly tornBytes: number
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class Journal {
  readonly damage: JournalDamage
  /** False when attachments of this boot may be missing: there was no journal of this boot, or records were lost. */
  readonly complete: boolean
  /** False when notes may be missing: there was no journal, or records were lost. */
  readonly notesComplete: boolean
  readonly #options: JournalOptions
  readonly #live = new Map<string, Attachment>()
  /** By address; whoever holds it next ends it. */
  readonly #released = new Map<string, ReleasedLease>()
  /** By whose they are and their keys. */
  readonly #notes = new Map<string, JournalNote>()
  #fd: number | undefined
  #closed = false
  #size = 0
  #sequence = 0
  #compactedSize = 0
  #waiters: Waiter[] = []
  #syncing: Promise<void> | undefined
  /** Records appended while a compaction is under way. */
  #since: JournalRecord[] | undefined

  /**
   * Reads the journal and rewrites it. Throws `AttachmentError` JOURNAL when it cannot be read or is of a newer version;
   * a disk that takes no writes is logged, and met again by the next `add`.
   */
  constructor(options: JournalOptions) {
    this.#options = options
    const decoded = readJournal(options)
    const { repaired, lost, tornBytes } = decoded
    const bad = this.#replay(decoded)
    this.damage = { repaired, lost: lost + bad, tornBytes }
    this.notesComplete = decoded.header !== undefined && this.damage.lost === 0
    this.complete = this.notesComplete && decoded.header?.bootId === options.bootId
    if (repaired + lost + bad + tornBytes > 0) {
      options.log.warn({ path: options.path, ...this.damage }, 'the journal was damaged; intact copies were used')
    }
    try {
      this.#rewrite()
    } catch (error) {
      options.log.error({ path: options.path, error }, 'the journal cannot be written; ADD will fail')
    }
  }

  entries(): Attachment[] {
    return [...this.#live.values()]
  }

  /** Addresses that were given back lately, oldest first: their cooling down outlives the daemon. */
  released(): ReleasedLease[] {
    const since = this.#options.now() - KEEP_RELEASED_US
    return [...this.#released.values()].filter(({ time }) => time > since).sort((a, b) => a.time - b.time)
  }

  /**
   * Writes the attachment in place of an earlier one of its key; resolves when it is durable. Throws `AttachmentError`
   * JOURNAL, and then the earlier one stands.
   */
  async add(attachment: Attachment): Promise<void> {
    const before = this.#live.get(attachment.key)
    try {
      this.#append({ op: 'add', attachment })
      await this.#durable()
    } catch (error) {
      if (before) this.#live.set(before.key, before)
      else this.#live.delete(attachment.key)
      throw journalError(`write ${attachment.key} to the journal`, error)
    }
  }

  /**
   * Forgets the key. Not waited for to be durable: an entry whose device is gone is dropped at the next start anyway.
   * Throws `AttachmentError` JOURNAL when the write failed; the key is forgotten nevertheless.
   */
  remove(key: string): void {
    if (!this.#live.has(key)) return
    try {
      this.#append({ op: 'del', key, time: this.#options.now() })
    } catch (error) {
      throw journalError(`delete ${key} from the journal`, error)
    } finally {
      this.#live.delete(key)
    }
  }

  /** The notes of one, by their keys. */
  notes(of: string): ReadonlyMap<string, string> {
    const own = [...this.#notes.values()].filter(note => note.of === of)
    return new Map(own.map(({ key, text = '' }) => [key, text]))
  }

  /**
   * Writes a note in place of an earlier one of its key; resolves when it is durable. Throws `AttachmentError` JOURNAL,
   * and then it may still be, now or after a later write.
   */
  async note(note: JournalNote): Promise<void> {
    try {
      this.#append({ op: 'note', ...note })
      await this.#durable()
    } catch (error) {
      throw journalError(`write a note of ${note.of} to the journal`, error)
    }
  }

  /** Resolves when everything written is on the disk and the file is closed; what comes later is refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await this.#syncing
    if (this.#fd !== undefined) this.#options.files.close(this.#fd)
    this.#fd = undefined
  }

  #replay(decoded: Decoded): number {
    const { header } = decoded
    const former = header !== undefined && header.bootId !== this.#options.bootId
    let bad = 0
    for (const payload of decoded.records) {
      const record = parseRecord(this.#migrated(payload, header?.version ?? JOURNAL_VERSION))
      if (!record) bad++
      else if (!former || record.op === 'note') this.#apply(record)
    }
    return bad
  }

  #migrated(payload: unknown, version: number): unknown {
    let value = payload
    for (let v = version; v < JOURNAL_VERSION; v++) value = this.#options.migrations?.get(v)?.(value) ?? value
    return value
  }

  #apply(record: JournalRecord): void {
    switch (record.op) {
      case 'add':
        for (const { address } of record.attachment.leases) this.#released.delete(address)
        this.#live.set(record.attachment.key, record.attachment)
        return
      case 'del':
        for (const lease of this.#live.get(record.key)?.leases ?? []) this.#release(lease, record.time)
        this.#live.delete(record.key)
        return
      case 'released':
        return this.#release(record.lease, record.time)
      case 'note':
        return this.#noted(record)
    }
  }

  #noted({ of, key, text }: JournalNote): void {
    const name = `${of} ${key}`
    // One that is written anew is the newest.
    this.#notes.delete(name)
    if (text !== undefined) this.#notes.set(name, { of, key, text })
  }

  #release(lease: Lease, time: number | undefined): void {
    if (time !== undefined) this.#released.set(lease.address, { lease, time })
  }

  #append(record: JournalRecord): void {
    const { files } = this.#options
    // The file may be the next daemon's by now.
    if (this.#closed) throw new Error('the journal is closed')
    const fd = this.#fd ?? this.#rewrite()
    const bytes = encodeRecord(this.#sequence + 1, record)
    try {
      files.write(fd, bytes, this.#size)
    } catch (error) {
      this.#cutBack(fd)
      throw error
    }
    this.#sequence++
    this.#size += bytes.length
    this.#since?.push(record)
    this.#apply(record)
  }

  /** Half a record at the end is overwritten by the next one and skipped by the reader; cutting it off is tidier. */
  #cutBack(fd: number): void {
    try {
      this.#options.files.truncate(fd, this.#size)
    } catch (error) {
      this.#options.log.debug({ error }, 'the journal could not be cut back after a failed write')
    }
  }

  #durable(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiters.push({ resolve, reject })
    this.#syncing ??= this.#syncLoop().finally(() => {
      this.#syncing = undefined
    })
    return promise
  }

  /** The only place that waits for the disk: one operation at a time, for all who wait by then. */
  async #syncLoop(): Promise<void> {
    // Those who append in this turn of the event loop take part in the first round.
    await Promise.resolve()
    while (this.#waiters.length > 0) {
      const waiters = this.#waiters
      this.#waiters = []
      try {
        if (this.#grown) await this.#compact()
        else if (this.#fd !== undefined) await this.#options.files.datasync(this.#fd)
        for (const waiter of waiters) waiter.resolve()
      } catch (error) {
        for (const waiter of waiters) waiter.reject(error)
      }
    }
  }

  get #grown(): boolean {
    const { compactBytes = 4 << 20 } = this.#options
    return this.#size > compactBytes && this.#size > 2 * this.#compactedSize
  }

  /** Rewrites without holding up the event loop: what is appended meanwhile is added before the rename. */
  async #compact(): Promise<void> {
    const { files } = this.#options
    const old = this.#fd
    this.#since = []
    const temporary = this.#writeTemporary()
    try {
      await files.datasync(temporary.fd)
      for (const record of this.#since) {
        const bytes = encodeRecord(++temporary.sequence, record)
        files.write(temporary.fd, bytes, temporary.size)
        temporary.size += bytes.length
      }
    } catch (error) {
      files.close(temporary.fd)
      throw error
    } finally {
      this.#since = undefined
    }
    this.#adopt(temporary)
    if (old !== undefined) files.close(old)
    await files.datasync(temporary.fd)
  }

  /** Rewrites at once; used at opening and after the journal could not be written. Returns the new descriptor. */
  #rewrite(): number {
    const temporary = this.#writeTemporary()
    try {
      this.#options.files.datasyncNow(temporary.fd)
    } catch (error) {
      this.#options.files.close(temporary.fd)
      throw error
    }
    this.#adopt(temporary)
    return temporary.fd
  }

  #adopt(temporary: { readonly fd: number; readonly size: number; readonly sequence: number }): void {
    const { files, path } = this.#options
    try {
      files.rename(`${path}.new`, path)
      files.syncDirectory(dirname(path))
    } catch (error) {
      files.close(temporary.fd)
      throw error
    }
    this.#fd = temporary.fd
    this.#size = temporary.size
    this.#compactedSize = temporary.size
    this.#sequence = temporary.sequence
  }

  #writeTemporary(): { readonly fd: number; size: number; sequence: number } {
    const { files, path, bootId } = this.#options
    const content: JournalRecord[] = [
      ...this.entries().map(attachment => ({ op: 'add', attachment }) as const),
      ...this.released().map(({ lease, time }) => ({ op: 'released', lease, time }) as const),
      ...[...this.#notes.values()].map(note => ({ op: 'note', ...note }) as const),
    ]
    const records = content.map((record, i) => encodeRecord(i + 1, record))
    const bytes = Buffer.concat([encodeHeader({ version: JOURNAL_VERSION, bootId }), ...records])
    const fd = files.create(`${path}.new`)
    try {
      files.write(fd, bytes, 0)
    } catch (error) {
      files.close(fd)
      throw error
    }
    return { fd, size: bytes.length, sequence: records.length }
  }
}

function readJournal(options: JournalOptions): Decoded {
  const { path, files } = options
  let bytes: Uint8Array
  try {
    bytes = files.read(path) ?? new Uint8Array()
  } catch (error) {
    throw journalError(`read the journal ${path}`, error)
  }
  const decoded = decode(bytes)
  const version = decoded.header?.version ?? JOURNAL_VERSION
  if (version <= JOURNAL_VERSION) return decoded
  const message = `the journal ${path} has version ${version}, this daemon knows up to ${JOURNAL_VERSION}`
  throw new AttachmentError('JOURNAL', `${message}; start the newer daemon, or drain the node and remove the file`)
}

function journalError(attempt: string, cause: unknown): AttachmentError {
  return new AttachmentError('JOURNAL', attempt, { cause })
}
