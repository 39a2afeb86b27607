/** What a journal record may hold, and the one place where a read record is believed: `parseRecord`. */
import type { Lease, PodRef } from '../plugin.ts'
import type { Attachment } from './attachment.ts'

export type JournalRecord =
  | { readonly op: 'add'; readonly attachment: Attachment }
  /** `time`: when, µs since 1970. */
  | { readonly op: 'del'; readonly key: string; readonly time?: number }
  /** In a rewritten journal, what is left of a `del`. */
  | { readonly op: 'released'; readonly lease: Lease; readonly time: number }
  /** What a plugin wants to know again, which counts after any boot; without a text it is taken away. */
  | ({ readonly op: 'note' } & JournalNote)

/** `of`: whose; each has keys of its own. */
export interface JournalNote {
  readonly of: string
  readonly key: string
  readonly text?: string
}

/** Undefined for anything that is not a record of the current version. */
export function parseRecord(value: unknown): JournalRecord | undefined {
  if (!isObject(value)) return undefined
  const { op, key, time, attachment, lease, of, text } = value
  const at = typeof time === 'number' ? { time } : undefined
  switch (op) {
    case 'add':
      return isAttachment(attachment) ? { op, attachment } : undefined
    case 'del':
      return typeof key === 'string' ? { op, key, ...at } : undefined
    case 'released':
      return isLease(lease) && at ? { op, lease, ...at } : undefined
    case 'note': {
      if (typeof of !== 'string' || typeof key !== 'string') return undefined
      return { op, of, key, ...(typeof text === 'string' && { text }) }
    }
    default:
      return undefined
  }
}

function isAttachment(value: unknown): value is Attachment {
  if (!isObject(value)) return false
  const { device, interface: inner, netns, leases, pod } = value
  return (
    has(value, { key: 'string', id: 'number', routeMtu: 'number', time: 'number' }) &&
    has(device, { name: 'string', index: 'number', mac: 'string' }) &&
    has(inner, { name: 'string', mac: 'string', mtu: 'number' }) &&
    has(netns, { dev: 'number', ino: 'number', path: 'string' }) &&
    isPod(pod) &&
    Array.isArray(leases) &&
    leases.every(isLease)
  )
}

function isPod(value: unknown): value is PodRef {
  return has(value, { namespace: 'string', name: 'string', uid: 'string' })
}

function isLease(value: unknown): value is Lease {
  return has(value, { owner: 'string', family: 'number', address: 'string', pool: 'string' })
}

function has(value: unknown, members: Readonly<Record<string, 'string' | 'number'>>): boolean {
  return isObject(value) && Object.entries(members).every(([name, type]) => typeof value[name] === type)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
