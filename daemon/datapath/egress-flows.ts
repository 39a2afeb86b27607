/**
 * Flows of pods that leave the cluster with an address of the node, read from the maps `translations` and `conntrack` a
 * few milliseconds of the event loop at a time.
 */
import { setImmediate } from 'node:timers/promises'
import type { BpfMap } from '../kernel/kernel.ts'
import { CtFlags, type CtKey, type CtValue, NatFlags, type NatKey, type NatValue } from './shared.gen.ts'

/** One flow that has a port. Addresses are in 16 bytes, IPv4 mapped; ports of ICMP are the echo's identifiers. */
export interface EgressFlow {
  /** Its assigned number (IANA). */
  readonly protocol: number
  readonly pod: Uint8Array
  readonly podPort: number
  readonly destination: Uint8Array
  readonly destinationPort: number
  readonly egress: Uint8Array
  readonly egressPort: number
  /** `established`: the handshake is complete, without one the other side has answered; `closing`: one side has sent its FIN. */
  readonly state: 'opening' | 'established' | 'closing'
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly created: bigint
}

export interface EgressFlowMaps {
  readonly translations: Pick<BpfMap<NatKey, NatValue>, 'entries'>
  readonly conntrack: Pick<BpfMap<CtKey, CtValue>, 'lookup'>
}

/** Entries between two turns of the event loop: about 3 ms. */
const ENTRIES_A_TURN = 1024

/**
 * Visits every flow that lives, in no order. The maps stay the caller's, who keeps them open until the promise settles;
 * `now` is of CLOCK_MONOTONIC.
 */
export async function readEgressFlows(
  { translations, conntrack }: EgressFlowMaps,
  visit: (flow: EgressFlow) => void,
  now: bigint = process.hrtime.bigint(),
): Promise<void> {
  let seen = 0
  for (const [key, value] of translations.entries()) {
    if (++seen % ENTRIES_A_TURN === 0) await setImmediate()
    if ((value.flags & OF_REPLIES) !== OF_REPLIES) continue
    const flow = egressFlowOf(key, value, conntrack.lookup(conntrackKey(key)), now)
    if (flow !== undefined) visit(flow)
  }
}

/** Who writes the entry for the replies has the port, so it is these that count. */
const OF_REPLIES = NatFlags.NAT_EGRESS | NatFlags.NAT_REPLY
const CLOSED = CtFlags.CT_FIN_A | CtFlags.CT_FIN_B

/** The flow of an entry for replies, by what conntrack has of it; undefined when it is over and its port free again. Pure. */
export function egressFlowOf(
  key: NatKey,
  value: NatValue,
  entry: CtValue | undefined,
  now: bigint,
): EgressFlow | undefined {
  if (entry === undefined || entry.expires <= now || (entry.flags & CtFlags.CT_TRANSLATED) === 0) return undefined
  if ((entry.flags & CtFlags.CT_RST) !== 0 || (entry.flags & CLOSED) === CLOSED) return undefined
  return {
    protocol: key.protocol,
    pod: value.destination,
    podPort: value.destinationPort,
    destination: key.source,
    destinationPort: key.sourcePort,
    egress: key.destination,
    egressPort: key.destinationPort,
    state: stateOf(entry.flags),
    created: entry.created,
  }
}

function stateOf(flags: number): EgressFlow['state'] {
  if ((flags & CLOSED) !== 0) return 'closing'
  return (flags & CtFlags.CT_ESTABLISHED) === 0 ? 'opening' : 'established'
}

/** What conntrack knows a tuple's flow by, whichever way it goes: see ct_from_a of bpf/lib/ct.h. */
export function conntrackKey({ source, destination, sourcePort, destinationPort, protocol }: NatKey): CtKey {
  const order = Buffer.compare(source, destination)
  const fromA = order === 0 ? sourcePort <= destinationPort : order < 0
  return fromA
    ? { a: source, b: destination, portA: sourcePort, portB: destinationPort, protocol }
    : { a: destination, b: source, portA: destinationPort, portB: sourcePort, protocol }
}
