/** What the programs tell: event records from the ring buffer. */
import { RingBuffer } from '../kernel/bpf/ring-buffer.ts'

/**
 * Flow events wake the daemon only once so many bytes wait (a wake-up costs the sender 6 µs); what lies there meanwhile
 * is looked at by the clock. Drops wake it at once.
 */
export const EVENT_BATCH_BYTES = 32_768
const LOOK_EVERY_MS = 100

/** Calls the handler for each record, whose bytes are valid during the call only, until disposed. `eventsFd` stays the caller's. */
export function readEvents(eventsFd: number, handler: (record: Uint8Array) => void): Disposable {
  return new RingBuffer(eventsFd, {
    idleMs: LOOK_EVERY_MS,
    onRecord: (view, offset, length) => handler(new Uint8Array(view.buffer, view.byteOffset + offset, length)),
  })
}
