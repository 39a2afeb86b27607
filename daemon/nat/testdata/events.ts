/** Records as the ring buffer gives them. */
import {
  decodeEvent,
  DropReason,
  type Event,
  EVENT_SIZE,
  EventKind,
  encodeEvent,
  Hook,
} from '../../datapath/shared.gen.ts'
import { toMapped16 } from '../../kernel/ip.ts'

/** A packet that a pod sent to port 443 and for which no port was left, but for what is given. */
export function dropRecord(source: string, destination: string, given: Partial<Event> = {}): Uint8Array {
  // Records lie somewhere in the ring.
  const bytes = new Uint8Array(8 + EVENT_SIZE)
  const view = new DataView(bytes.buffer, 8)
  encodeEvent(view, 0, {
    ...decodeEvent(view, 0),
    kind: EventKind.EVENT_DROP,
    reason: DropReason.DROP_NAT_PORTS,
    hook: Hook.HOOK_POD_OUT,
    source: toMapped16(source),
    destination: toMapped16(destination),
    sourcePort: 40_000,
    destinationPort: 443,
    protocol: 6,
    ...given,
  })
  return bytes.subarray(8)
}
