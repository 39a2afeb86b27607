/** Events of the datapath → flow records as people and programs read them. */
import { type Event, EventKind, FlowMoment, Hook } from '../datapath/shared.gen.ts'
import { fromMapped16 } from '../kernel/ip.ts'
import { dropReason } from './drop-reasons.ts'
import type { KnownInterface } from './interfaces.ts'
import type { AddressOwner } from './names.ts'

export interface FlowEnd {
  /** Absent when the packet was not IP. */
  readonly address?: string
  readonly port?: number
  /** `namespace/name`. */
  readonly pod?: string
  readonly node?: string
}

/** One packet as the datapath saw it: a drop, or one that was a moment of its flow. */
export interface FlowRecord {
  /** Wall clock, RFC 3339 with microseconds. */
  readonly time: string
  readonly verdict: 'forwarded' | 'dropped'
  /**
   * The flow's first packet, its first reply, or its end: FIN from both sides, RST, or expiry. A first reply that also
   * ends the flow, such as a refused connection's, is its end. Absent for drops.
   */
  readonly moment?: 'first' | 'reply' | 'end'
  /** The flow so far, by the direction it was opened in. Absent for drops. */
  readonly flow?: {
    readonly packets: number
    readonly bytes: number
    readonly replyPackets: number
    readonly replyBytes: number
  }
  /** Why it was dropped. */
  readonly reason?: { readonly name: string; readonly text: string; readonly whatToDo: string }
  /** Id of the rule that caused the verdict; absent when none did. */
  readonly rule?: number
  /** Where in the datapath: the program's name. */
  readonly hook: string
  readonly source: FlowEnd
  readonly destination: FlowEnd
  /** `TCP`, `UDP`, `ICMP`, `ICMPv6`, `SCTP`, the number of another; `IPv4` or `IPv6` when no more could be read, `ARP`, or `ethertype 0x88cc`. */
  readonly protocol: string
  readonly icmp?: { readonly type: number; readonly code: number }
  readonly tcpFlags?: readonly string[]
  /** Travels against the direction in which the flow was opened. */
  readonly reply: boolean
  /** Bytes on the device, link layer included. */
  readonly length: number
  /** Where it was seen, and the pod behind that device: a drop's sender, whatever address the packet bears. */
  readonly interface: { readonly index: number } & Partial<KnownInterface>
}

/** What a record needs that the event does not carry. */
export interface RecordContext {
  readonly owner: (address: string) => AddressOwner | undefined
  readonly interfaceOf: (index: number) => KnownInterface | undefined
  /** Unix time in µs of a moment of CLOCK_MONOTONIC. */
  readonly wallClockUs: (monotonicNs: bigint) => number
}

/** Program names: the enumerators in lower case without `HOOK_`. */
const hooks = new Map<number, string>(Object.entries(Hook).map(([name, value]) => [value, name.slice(5).toLowerCase()]))
/** The last of a flow's moments first: one packet may be several. */
const moments = [
  [FlowMoment.FLOW_END, 'end'],
  [FlowMoment.FLOW_REPLY, 'reply'],
  [FlowMoment.FLOW_FIRST, 'first'],
] as const
/** Names of protocols by their assigned numbers. */
export const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
}
/** From the least significant bit (RFC 9293 section 3.1). */
const flags = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']
const ethertypes: Readonly<Record<number, string>> = { 0x0800: 'IPv4', 0x0806: 'ARP', 0x86dd: 'IPv6' }

export function toRecord(event: Event, context: RecordContext): FlowRecord {
  const protocol = protocolName(event)
  const ports = protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP'
  return {
    time: rfc3339(context.wallClockUs(event.timeNs)),
    ...verdictOf(event),
    ...(event.rule === 0 ? {} : { rule: event.rule }),
    hook: hookName(event.hook),
    source: end(event.source, ports ? event.sourcePort : undefined, context),
    destination: end(event.destination, ports ? event.destinationPort : undefined, context),
    protocol,
    ...(protocol.startsWith('ICMP') ? { icmp: { type: event.sourcePort, code: event.destinationPort } } : {}),
    ...(protocol === 'TCP' ? { tcpFlags: flags.filter((_, bit) => (event.tcpFlags & (1 << bit)) !== 0) } : {}),
    reply: event.reply !== 0,
    length: event.length,
    interface: { index: event.ifindex, ...context.interfaceOf(event.ifindex) },
  }
}

/** Name of the program of `enum hook`. */
export function hookName(hook: number): string {
  return hooks.get(hook) ?? `hook_${hook}`
}

function verdictOf(event: Event): Pick<FlowRecord, 'verdict' | 'moment' | 'flow' | 'reason'> {
  if (event.kind === EventKind.EVENT_DROP) {
    const { name, text, whatToDo } = dropReason(event.reason)
    return { verdict: 'dropped', reason: { name, text, whatToDo } }
  }
  const moment = moments.find(([bit]) => (event.moment & bit) !== 0)?.[1]
  const flow = {
    packets: Number(event.packets),
    bytes: Number(event.bytes),
    replyPackets: Number(event.replyPackets),
    replyBytes: Number(event.replyBytes),
  }
  return { verdict: 'forwarded', ...(moment === undefined ? {} : { moment }), flow }
}

function protocolName({ ethertype, protocol, source, destination }: Event): string {
  const name = ethertypes[ethertype]
  const read = name?.startsWith('IP') && !(isZero(source) && isZero(destination))
  return read ? (PROTOCOL_NAMES[protocol] ?? String(protocol)) : (name ?? `ethertype ${hex(ethertype)}`)
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0)
}

function end(bytes: Uint8Array, port: number | undefined, context: RecordContext): FlowEnd {
  if (isZero(bytes)) return {}
  const address = fromMapped16(bytes)
  const owner = context.owner(address)
  return {
    address,
    ...(port === undefined ? {} : { port }),
    ...(owner?.kind === 'pod' ? { pod: owner.pod } : {}),
    ...(owner?.kind === 'node' ? { node: owner.node } : {}),
  }
}

function hex(ethertype: number): string {
  return `0x${ethertype.toString(16).padStart(4, '0')}`
}

function rfc3339(unixUs: number): string {
  const seconds = new Date(Math.floor(unixUs / 1000)).toISOString()
  return `${seconds.slice(0, -1)}${String(unixUs % 1000).padStart(3, '0')}Z`
}
