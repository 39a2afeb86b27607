/**
 * Packets as text, a line a layer, for comparing and for people:
 *
 *     eth 02:…:01 > 02:…:02
 *     ipv4 10.0.0.2 > 10.0.0.3 ttl 64 id 1
 *     tcp 1024 > 80 SA seq 1 ack 1
 *     payload 20 bytes, 000102…
 *
 * A wrong checksum or length is said at the end of its line.
 */
import { textOf } from '../../daemon/kernel/ip.ts'
import { checksum, ETHERTYPE, join, PROTOCOL, u16 } from './packet.ts'
import { TCP } from './packet-transport.ts'

/** Lines of a frame. Never throws: what is cut off is shown as bytes. */
export function packetText(bytes: Uint8Array): string {
  return frame(bytes).join('\n')
}

interface Addresses {
  readonly src: Uint8Array
  readonly dst: Uint8Array
}

function frame(b: Uint8Array): string[] {
  if (b.length < 14) return rest(b)
  const type = word(b, 12)
  return [`eth ${macText(b.subarray(6, 12))} > ${macText(b.subarray(0, 6))}`, ...ether(type, b.subarray(14))]
}

function ether(type: number, b: Uint8Array): string[] {
  switch (type) {
    case ETHERTYPE.ipv4:
      return b.length < 20 ? rest(b) : ipv4(b)
    case ETHERTYPE.ipv6:
      return b.length < 40 ? rest(b) : ipv6(b)
    case ETHERTYPE.arp:
      return b.length < 28 ? rest(b) : arp(b)
    case ETHERTYPE.vlan:
      return b.length < 4 ? rest(b) : [`vlan ${word(b, 0) & 0xfff}`, ...ether(word(b, 2), b.subarray(4))]
    default:
      return [`type 0x${type.toString(16)}`, ...rest(b)]
  }
}

function arp(b: Uint8Array): string[] {
  const [operation, sender, target] = [word(b, 6), textOf(b.subarray(14, 18)), textOf(b.subarray(24, 28))]
  const name = ['', 'request', 'reply'][operation] ?? String(operation)
  return [
    `arp ${name} ${sender} at ${macText(b.subarray(8, 14))} > ${target} at ${macText(b.subarray(18, 24))}`,
    ...rest(b.subarray(28)),
  ]
}

function ipv4(b: Uint8Array): string[] {
  const length = ((b[0] ?? 0) & 15) * 4
  const [flags, total] = [word(b, 6), word(b, 2)]
  const addresses = { src: b.subarray(12, 16), dst: b.subarray(16, 20) }
  const line = [
    `ipv4 ${textOf(addresses.src)} > ${textOf(addresses.dst)} ttl ${b[8]} id ${word(b, 4)}`,
    flags & 0x4000 ? 'DF' : '',
    flags & 0x3fff ? `fragment ${(flags & 0x1fff) * 8}${flags & 0x2000 ? '+' : ''}` : '',
    length > 20 ? `options ${hex(b.subarray(20, length))}` : '',
    total === b.length ? '' : `length ${total} of ${b.length}`,
    checksum(b.subarray(0, length)) === 0 ? '' : 'BAD CHECKSUM',
  ]
  const inner = b.subarray(length)
  const later = (flags & 0x1fff) !== 0
  return [words(line), ...(later ? rest(inner) : transport(b[9] ?? 0, inner, addresses, (flags & 0x3fff) === 0))]
}

function ipv6(b: Uint8Array): string[] {
  const addresses = { src: b.subarray(8, 24), dst: b.subarray(24, 40) }
  const payload = word(b, 4)
  const line = [
    `ipv6 ${textOf(addresses.src)} > ${textOf(addresses.dst)} hop limit ${b[7]}`,
    payload === b.length - 40 ? '' : `length ${payload} of ${b.length - 40}`,
  ]
  return [words(line), ...after6(b[6] ?? 0, b.subarray(40), addresses, true)]
}

function after6(next: number, b: Uint8Array, addresses: Addresses, whole: boolean): string[] {
  const name = extensions[next]
  if (name === undefined || b.length < 8) return transport(next, b, addresses, whole)
  if (next === PROTOCOL.fragment) {
    const [position, id] = [word(b, 2), word(b, 4) * 0x10000 + word(b, 6)]
    const line = `fragment ${position & 0xfff8}${position & 1 ? '+' : ''} id ${id}`
    const inner = b.subarray(8)
    return [line, ...(position & 0xfff8 ? rest(inner) : after6(b[0] ?? 0, inner, addresses, position === 0))]
  }
  const length = next === PROTOCOL.authentication ? ((b[1] ?? 0) + 2) * 4 : ((b[1] ?? 0) + 1) * 8
  return [`${name} ${length} bytes`, ...after6(b[0] ?? 0, b.subarray(length), addresses, whole)]
}

const extensions: Readonly<Record<number, string>> = {
  [PROTOCOL.hopByHop]: 'hop-by-hop',
  [PROTOCOL.routing]: 'routing',
  [PROTOCOL.fragment]: 'fragment',
  [PROTOCOL.authentication]: 'authentication',
  [PROTOCOL.destination]: 'destination',
}

/** `whole`: the checksum covers what is here. */
function transport(kind: number, b: Uint8Array, addresses: Addresses, whole: boolean): string[] {
  const sum = (): string => (whole && !transportSumFits(kind, b, addresses) ? 'BAD CHECKSUM' : '')
  if (kind === PROTOCOL.tcp && b.length >= 20) {
    const flags = Object.entries(TCP).flatMap(([letter, bit]) => ((b[13] ?? 0) & bit ? [letter] : []))
    const line = `tcp ${word(b, 0)} > ${word(b, 2)} ${flags.join('')} seq ${long(b, 4)} ack ${long(b, 8)}`
    return [words([line, sum()]), ...rest(b.subarray(((b[12] ?? 0) >> 4) * 4))]
  }
  if (kind === PROTOCOL.udp && b.length >= 8)
    return [words([`udp ${word(b, 0)} > ${word(b, 2)}`, sum()]), ...rest(b.subarray(8))]
  if (kind === PROTOCOL.sctp && b.length >= 12) return [`sctp ${word(b, 0)} > ${word(b, 2)}`, ...rest(b.subarray(12))]
  if (kind === PROTOCOL.icmp && b.length >= 8) return [words([icmpLine('icmp', b), sum()]), ...rest(b.subarray(8))]
  if (kind === PROTOCOL.icmpv6 && b.length >= 8) return icmpv6(b, sum())
  return [...(kind === PROTOCOL.none ? [] : [`protocol ${kind}`]), ...rest(b)]
}

function icmpv6(b: Uint8Array, sum: string): string[] {
  const type = b[0] ?? 0
  if ((type !== 135 && type !== 136) || b.length < 24)
    return [words([icmpLine('icmpv6', b), sum]), ...rest(b.subarray(8))]
  const option = b.length >= 32 ? `option ${b[24]} ${macText(b.subarray(26, 32))}` : ''
  const flags = type === 136 ? `flags ${(b[4] ?? 0) >> 5}` : ''
  const name = type === 135 ? 'solicitation' : 'advertisement'
  return [words([`${name} ${textOf(b.subarray(8, 24))}`, flags, option, sum]), ...rest(b.subarray(32))]
}

function icmpLine(name: string, b: Uint8Array): string {
  return `${name} type ${b[0]} code ${b[1]} id ${word(b, 4)} sequence ${word(b, 6)}`
}

function transportSumFits(kind: number, b: Uint8Array, { src, dst }: Addresses): boolean {
  if (kind === PROTOCOL.icmp) return checksum(b) === 0
  if (kind === PROTOCOL.udp && word(b, 6) === 0) return true
  return checksum(join(src, dst, u16(0, b.length, 0, kind), b)) === 0
}

function rest(b: Uint8Array): string[] {
  return b.length === 0 ? [] : [`payload ${b.length} bytes, ${hex(b.subarray(0, 24))}${b.length > 24 ? '…' : ''}`]
}
function words(parts: readonly string[]): string {
  return parts.filter(part => part !== '').join(' ')
}
function word(b: Uint8Array, at: number): number {
  return ((b[at] ?? 0) << 8) | (b[at + 1] ?? 0)
}
function long(b: Uint8Array, at: number): number {
  return word(b, at) * 0x10000 + word(b, at + 2)
}
function hex(b: Uint8Array): string {
  return Buffer.from(b).toString('hex')
}
function macText(b: Uint8Array): string {
  return [...b].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}
