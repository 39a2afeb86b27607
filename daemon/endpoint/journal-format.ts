/**
 * The journal's bytes. A record is one frame written twice, the copies behind each other in one write:
 *
 *   magic 4 | type 1 | copy 1 | zero 2 | sequence 4 | length 4 | crc32 4 | payload (JSON)
 *
 * Numbers are little-endian; the CRC covers the frame without the CRC itself. A reader looks for frames by magic and CRC
 * alone, not by the lengths of those before, so that one flipped bit spoils at most the copy it lies in. The magic holds
 * a byte that UTF-8 never does, hence no payload looks like a frame. Sequence 0 is the header; records count from 1
 * without gaps, by which a lost one is noticed.
 */
import { crc32 } from 'node:zlib'

/** Format of the payloads. The frames themselves never change, so that any version can read a header. */
export const JOURNAL_VERSION = 1

export interface Header {
  readonly version: number
  readonly bootId: string
}

/** What was found in a journal. */
export interface Decoded {
  readonly header: Header | undefined
  /** Payloads in order of sequence; undefined JSON never occurs, the CRC has been checked. */
  readonly records: readonly unknown[]
  /** Records of which one copy was damaged. */
  readonly repaired: number
  /** Records of which both copies were damaged. */
  readonly lost: number
  /** Bytes of an unfinished last write. */
  readonly tornBytes: number
}

interface Frame {
  readonly type: number
  readonly copy: number
  readonly sequence: number
  readonly payload: unknown
  readonly end: number
}

const MAGIC = Buffer.from([0xff, 0xc5, 0x57, 0x4a])
const FRAME_HEADER = 20
const HEADER = 0
const RECORD = 1

export function encodeHeader(header: Header): Buffer {
  return twice(HEADER, 0, header)
}

/** Both copies of a record; `sequence` counts from 1. */
export function encodeRecord(sequence: number, payload: unknown): Buffer {
  return twice(RECORD, sequence, payload)
}

export function decode(bytes: Uint8Array): Decoded {
  const frames = [...scan(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))]
  const last = frames.at(-1)
  const copies = new Map<number, Frame[]>()
  for (const frame of frames) copies.set(frame.sequence, [...(copies.get(frame.sequence) ?? []), frame])
  const tornBytes = bytes.length - (last?.end ?? 0)
  const highest = frames.reduce((n, f) => Math.max(n, f.sequence), -1)
  const single = [...copies.values()].filter(list => list.length === 1).length
  const unfinished = last !== undefined && last.copy === 0 ? 1 : 0
  const bySequence = [...copies].sort(([a], [b]) => a - b).flatMap(([, [frame]]) => (frame ? [frame] : []))
  return {
    header: headerOf(bySequence.find(f => f.type === HEADER)?.payload),
    records: bySequence.filter(f => f.type === RECORD).map(f => f.payload),
    repaired: single - unfinished,
    lost: highest + 1 - copies.size,
    tornBytes,
  }
}

function twice(type: number, sequence: number, payload: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(payload))
  return Buffer.concat([frame(type, 0, sequence, text), frame(type, 1, sequence, text)])
}

function frame(type: number, copy: number, sequence: number, payload: Buffer): Buffer {
  const bytes = Buffer.concat([MAGIC, Buffer.alloc(FRAME_HEADER - MAGIC.length), payload])
  bytes.writeUInt8(type, 4)
  bytes.writeUInt8(copy, 5)
  bytes.writeUInt32LE(sequence, 8)
  bytes.writeUInt32LE(payload.length, 12)
  bytes.writeUInt32LE(checksum(bytes), 16)
  return bytes
}

function checksum(frame: Buffer): number {
  return crc32(frame.subarray(FRAME_HEADER), crc32(frame.subarray(0, 16)))
}

function* scan(bytes: Buffer): Generator<Frame> {
  let at = bytes.indexOf(MAGIC)
  while (at >= 0) {
    const found = frameAt(bytes, at)
    if (found) yield found
    at = bytes.indexOf(MAGIC, found?.end ?? at + 1)
  }
}

function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (at + FRAME_HEADER > bytes.length) return undefined
  const end = at + FRAME_HEADER + bytes.readUInt32LE(at + 12)
  if (end > bytes.length) return undefined
  const whole = bytes.subarray(at, end)
  if (checksum(whole) !== whole.readUInt32LE(16)) return undefined
  const payload: unknown = JSON.parse(whole.toString('utf8', FRAME_HEADER))
  return { type: whole.readUInt8(4), copy: whole.readUInt8(5), sequence: whole.readUInt32LE(8), payload, end }
}

function headerOf(payload: unknown): Header | undefined {
  if (typeof payload !== 'object' || payload === null || !('version' in payload) || !('bootId' in payload))
    return undefined
  const { version, bootId } = payload
  return typeof version === 'number' && typeof bootId === 'string' ? { version, bootId } : undefined
}
