/** What a program left behind, as lines of text to compare: flows, counters and events. */
import { fromMapped16 } from '../../daemon/kernel/ip.ts'
import { CtFlags, DropReason, EventKind, FlowMoment, Hook, MetricKind } from '../../daemon/datapath/shared.gen.ts'
import type { CtKey, CtValue, Event } from '../../daemon/datapath/shared.gen.ts'
import type { TestNode } from './node.ts'

const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
}

/**
 * Everything since the last reset, sorted: `flow …` for conntrack, `event …` for events, `count …` for metrics. Packets
 * sent on are left out; see `forwardedBy`.
 */
export function effects(node: TestNode): string[] {
  return [...flows(node), ...counts(node), ...node.takeEvents().map(eventText)].sort()
}

/** `flow tcp SOURCE > DESTINATION FLAGS sent/answered`, from the opener's point of view. */
export function flows(node: TestNode): string[] {
  return [...node.conntrack.entries()].map(([key, value]) => flowText(key, value)).sort()
}

export function flowText(key: CtKey, value: CtValue): string {
  const sides = [end(key.a, key.portA), end(key.b, key.portB)]
  const packets = [value.packetsA, value.packetsB]
  const a = (value.flags & CtFlags.CT_ORIGIN_A) !== 0
  if (!a) {
    sides.reverse()
    packets.reverse()
  }
  const flags = Object.entries(CtFlags)
    .filter(([name, bit]) => name !== 'CT_ORIGIN_A' && value.flags & bit)
    .map(([name]) =>
      name.replace('CT_', '').replace(/FIN_([AB])/, (_, side) => ((side === 'A') === a ? 'FIN_OUT' : 'FIN_IN')),
    )
    .sort()
  return ['flow', protocol(key.protocol), sides.join(' > '), ...flags, packets.join('/')].join(' ')
}

/** `count KIND HOOK REASON n` */
export function counts(node: TestNode): string[] {
  return [...node.metrics.entries()].map(([key, cpus]) => {
    const packets = cpus.reduce((sum, cpu) => sum + cpu.packets, 0n)
    const reason = key.reason === 0 ? '' : ` ${nameOf(DropReason, key.reason, 'DROP_')}`
    return `count ${nameOf(MetricKind, key.kind, 'METRIC_')} ${hook(key.hook)}${reason} ${packets}`
  })
}

/** Packets a hook sent on. */
export function forwardedBy(node: TestNode, name: keyof typeof Hook): number {
  const cpus = node.forwarded.lookup(Hook[name]) ?? []
  return Number(cpus.reduce((sum, cpu) => sum + cpu.packets, 0n))
}

/** `event drop HOOK REASON …` or `event MOMENTS HOOK …`; a reply is told by `<`. */
export function eventText(event: Event): string {
  const icmp = event.protocol === 1 || event.protocol === 58
  const what =
    event.ethertype === 0x0800 || event.ethertype === 0x86dd
      ? `${protocol(event.protocol)} ${end(event.source, icmp ? undefined : event.sourcePort)} > ${end(event.destination, icmp ? undefined : event.destinationPort)}${icmp ? ` type ${event.sourcePort}` : ''}`
      : `ethertype 0x${event.ethertype.toString(16)}`
  const reply = event.reply ? ' reply' : ''
  if (event.kind === EventKind.EVENT_DROP)
    return `event drop ${hook(event.hook)} ${nameOf(DropReason, event.reason, 'DROP_')} ${what}`
  const moments = Object.entries(FlowMoment).filter(([, bit]) => event.moment & bit)
  return `event ${moments.map(([name]) => name.replace('FLOW_', '').toLowerCase()).join('+')} ${hook(event.hook)} ${what}${reply}`
}

function hook(number: number): string {
  return nameOf(Hook, number, 'HOOK_').toLowerCase()
}
function protocol(number: number): string {
  return PROTOCOLS[number] ?? `protocol ${number}`
}
function end(address: Uint8Array, port: number | undefined): string {
  const text = fromMapped16(address)
  return port === undefined ? text : `${text.includes(':') ? `[${text}]` : text}:${port}`
}
function nameOf(codes: Readonly<Record<string, number>>, code: number, prefix: string): string {
  const name = Object.entries(codes).find(([, value]) => value === code)?.[0]
  return name === undefined ? `${prefix}${code}` : name.replace(prefix, '')
}
