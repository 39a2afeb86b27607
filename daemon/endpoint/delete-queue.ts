/**
 * DELs that came while no daemon was there: files the CNI executable left (ARCHITECTURE.md, "Delete queue"). Read in
 * order of name, which is the order of time.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { tryLockDirectory } from '../kernel/file-lock.ts'
import { codeOf } from './errors.ts'
import type { AttachmentId } from './key.ts'

export interface QueuedDelete extends AttachmentId {
  readonly file: string
  readonly bootId: string
  /** 0 when the namespace was gone by then. */
  readonly netnsInode: number
  /** µs since 1970. */
  readonly time: number
}

export interface QueueContent {
  readonly deletes: readonly QueuedDelete[]
  /** Files that hold no DEL, with the reason. */
  readonly unreadable: readonly { readonly file: string; readonly reason: string }[]
}

/**
 * A directory that is not there is an empty queue. Files being written (temporary names) are left alone, and one that is
 * gone by now was taken back by its writer. Throws when the disk refuses: what cannot be read now may be read later.
 */
export function readDeleteQueue(directory: string): QueueContent {
  const deletes: QueuedDelete[] = []
  const unreadable: { file: string; reason: string }[] = []
  for (const name of namesIn(directory, /^\d{20}-\d+\.json$/)) {
    const file = join(directory, name)
    const text = absentAs(undefined, () => readFileSync(file, 'utf8'))
    if (text === undefined) continue
    try {
      deletes.push(parse(file, text))
    } catch (error) {
      unreadable.push({ file, reason: messageOf(error) })
    }
  }
  return { deletes, unreadable }
}

/**
 * Removes what executables that were killed while they wrote have left: who writes holds the directory's lock, so a
 * temporary file that is there while nobody holds it stays for ever.
 */
export function clearUnfinished(directory: string): void {
  const unfinished = namesIn(directory, /^\.\d{20}-\d+\.tmp$/)
  if (unfinished.length === 0) return
  using lock = tryLockDirectory(directory)
  if (lock !== undefined) for (const name of unfinished) removeFromQueue(join(directory, name))
}

/** The entry was carried out or is void. */
export function removeFromQueue(file: string): void {
  rmSync(file, { force: true })
}

function namesIn(directory: string, form: RegExp): string[] {
  return absentAs([], () => readdirSync(directory))
    .filter(name => form.test(name))
    .sort()
}

/** What reading gives, or that value for what is not there. */
function absentAs<T>(absent: T, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return absent
    throw error
  }
}

function parse(file: string, text: string): QueuedDelete {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new TypeError('no JSON object')
  const members = value as Readonly<Record<string, unknown>>
  const inode = members['netnsInode']
  return {
    file,
    bootId: member(members, 'bootId'),
    network: member(members, 'network'),
    containerId: member(members, 'containerId'),
    ifName: member(members, 'ifName'),
    netnsInode: typeof inode === 'number' ? inode : 0,
    time: number(members, 'time'),
  }
}

function member(members: Readonly<Record<string, unknown>>, name: string): string {
  const value = members[name]
  if (typeof value !== 'string') throw new TypeError(`${name} is no text`)
  return value
}

function number(members: Readonly<Record<string, unknown>>, name: string): number {
  const value = members[name]
  if (typeof value !== 'number') throw new TypeError(`${name} is no number`)
  return value
}
