/** Frames of traced packets: built from what was asked for, and read again when the programs are done with them. Pure. */
import { bytesOf, familyIn, textOf } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'

export const IP_PROTOCOLS = { tcp: 6, udp: 17, sctp: 132, icmp: 1 } as const
export type TraceProtocol = keyof typeof IP_PROTOCOLS
const ICMPV6 = 58

/** Letters of TCP's flags, from the least significant bit (RFC 9293 section 3.1). */
export const TCP_FLAGS = 'FSRPAU'

const ETHERNET = 14
/** Headers without options: IP by family, then the transport's. */
const IP_HEADER = { 4: 20, 6: 40 } as const
const HEADER = { tcp: 20, udp: 8, sctp: 12, icmp: 8 } as const

/** What a packet is, its frame apart. */
export interface TracePacket {
  readonly source: Address
  /** Absent where the protocol has none. */
  readonly sourcePort?: number
  readonly destination: Address
  readonly destinationPort?: number
  /** `tcp`, `udp`, `sctp`, `icmp` of either family, or the number of another protocol. */
  readonly protocol: TraceProtocol | `${number}`
  /** Letters of TCP's flags: `S`, `SA`. */
  readonly flags?: string
  /** ICMP type and code, with the identifier of an echo. */
  readonly icmp?: { readonly type: number; readonly code: number; readonly id?: number }
  /** Time to live, or hop limit. */
  readonly hops: number
  /** Bytes of the IP packet. */
  readonly size: number
}

/** Link-layer addresses as six bytes. */
export interface Macs {
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

/** A packet to build; of ICMP it is an echo request with that identifier. */
export interface Wanted {
  readonly source: Address
  readonly destination: Address
  readonly protocol: TraceProtocol
  /** Of ICMP the identifier. */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly flags: string
  readonly hops: number
  readonly size: number
}

/** Bytes of the smallest IP packet of a protocol. */
export function leastSize(family: 4 | 6, protocol: TraceProtocol): number {
  return IP_HEADER[family] + HEADER[protocol]
}

/** The IP protocol's number, which of ICMP depends on the family. */
export function protocolNumber(protocol: TraceProtocol, address: Address): number {
  return protocol === 'icmp' && familyIn(address) === 6 ? ICMPV6 : IP_PROTOCOLS[protocol]
}

/** The content is zero. */
export function buildFrame(wanted: Wanted, macs: Macs): Uint8Array {
  const family = familyIn(wanted.source)
  const frame = new Uint8Array(ETHERNET + wanted.size)
  const view = new DataView(frame.buffer)
  frame.set(macs.destination, 0)
  frame.set(macs.source, 6)
  view.setUint16(12, family === 4 ? 0x0800 : 0x86dd)
  writeTransport(new DataView(frame.buffer, ETHERNET + IP_HEADER[family]), wanted)
  if (family === 4) writeIpv4(frame.subarray(ETHERNET), wanted)
  else writeIpv6(frame.subarray(ETHERNET), wanted)
  return frame
}

function writeIpv4(ip: Uint8Array, { source, destination, protocol, hops }: Wanted): void {
  const view = new DataView(ip.buffer, ip.byteOffset)
  view.setUint8(0, 0x45)
  view.setUint16(2, ip.length)
  // May not be fragmented, as of TCP and whoever else discovers the MTU of its path.
  view.setUint16(6, 0x4000)
  view.setUint8(8, hops)
  view.setUint8(9, IP_PROTOCOLS[protocol])
  ip.set(bytesOf(source), 12)
  ip.set(bytesOf(destination), 16)
  view.setUint16(10, checksum(ip.subarray(0, 20)))
  writeChecksum(ip, 20, ip.subarray(12, 20), protocol)
}

function writeIpv6(ip: Uint8Array, { source, destination, protocol, hops }: Wanted): void {
  const view = new DataView(ip.buffer, ip.byteOffset)
  view.setUint8(0, 0x60)
  view.setUint16(4, ip.length - 40)
  view.setUint8(6, protocolNumber(protocol, source))
  view.setUint8(7, hops)
  ip.set(bytesOf(source), 8)
  ip.set(bytesOf(destination), 24)
  writeChecksum(ip, 40, ip.subarray(8, 40), protocol)
}

function writeTransport(view: DataView, { protocol, sourcePort, destinationPort, flags, source, size }: Wanted): void {
  if (protocol === 'icmp') {
    view.setUint8(0, familyIn(source) === 4 ? 8 : 128)
    view.setUint16(4, sourcePort)
    view.setUint16(6, 1)
    return
  }
  view.setUint16(0, sourcePort)
  view.setUint16(2, destinationPort)
  if (protocol === 'udp') view.setUint16(4, size - IP_HEADER[familyIn(source)])
  if (protocol !== 'tcp') return
  view.setUint32(4, 1)
  view.setUint32(8, flags.includes('A') ? 1 : 0)
  view.setUint8(12, 5 << 4)
  view.setUint8(13, flagBits(flags))
  view.setUint16(14, 65_535)
}

/** Where the transport's checksum is; SCTP's may stay zero, as of what a device is to finish. */
const CHECKSUM_AT = { tcp: 16, udp: 6, icmp: 2, sctp: undefined } as const

function writeChecksum(ip: Uint8Array, header: number, addresses: Uint8Array, protocol: TraceProtocol): void {
  const at = CHECKSUM_AT[protocol]
  if (at === undefined) return
  const covered = ip.subarray(header)
  const number = protocolNumber(protocol, header === 20 ? '0.0.0.0' : '::')
  const pseudo = Uint8Array.of(0, 0, covered.length >> 8, covered.length & 0xff, 0, 0, 0, number)
  const plain = protocol === 'icmp' && header === 20
  const sum = checksum(plain ? covered : Buffer.concat([addresses, pseudo, covered]))
  new DataView(covered.buffer, covered.byteOffset).setUint16(at, sum === 0 && protocol === 'udp' ? 0xffff : sum)
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function flagBits(flags: string): number {
  return flags.split('').reduce((bits, letter) => bits | (1 << TCP_FLAGS.indexOf(letter)), 0)
}

/** A frame that was read. */
export interface ReadFrame {
  readonly macs: Macs
  readonly packet: TracePacket
}

/** Reads a frame of IP; undefined where it is none, or is cut short. */
export function readFrame(frame: Uint8Array): ReadFrame | undefined {
  if (frame.length < ETHERNET + 20) return undefined
  const macs = { destination: frame.slice(0, 6), source: frame.slice(6, 12) }
  const type = new DataView(frame.buffer, frame.byteOffset).getUint16(12)
  const ip = frame.subarray(ETHERNET)
  const packet = type === 0x0800 ? readIpv4(ip) : type === 0x86dd && ip.length >= 40 ? readIpv6(ip) : undefined
  return packet && { macs, packet }
}

function readIpv4(ip: Uint8Array): TracePacket {
  const view = new DataView(ip.buffer, ip.byteOffset, ip.length)
  return {
    source: textOf(ip.subarray(12, 16)),
    destination: textOf(ip.subarray(16, 20)),
    ...readTransport(view.getUint8(9), ip.subarray((view.getUint8(0) & 15) * 4)),
    hops: view.getUint8(8),
    size: view.getUint16(2),
  }
}

/** The programs add destination options at most (`bpf/lib/dsr.h`). */
const DESTINATION_OPTIONS = 60

function readIpv6(ip: Uint8Array): TracePacket {
  const view = new DataView(ip.buffer, ip.byteOffset, ip.length)
  const optioned = view.getUint8(6) === DESTINATION_OPTIONS && ip.length >= 48
  const next = optioned ? view.getUint8(40) : view.getUint8(6)
  const start = optioned ? 40 + (view.getUint8(41) + 1) * 8 : 40
  return {
    source: textOf(ip.subarray(8, 24)),
    destination: textOf(ip.subarray(24, 40)),
    ...readTransport(next, ip.subarray(start)),
    hops: view.getUint8(7),
    size: 40 + view.getUint16(4),
  }
}

type Transport = Pick<TracePacket, 'protocol' | 'sourcePort' | 'destinationPort' | 'flags' | 'icmp'>

function readTransport(number: number, header: Uint8Array): Transport {
  const protocol = number === ICMPV6 ? 'icmp' : nameOf(number)
  if (protocol === undefined || header.length < HEADER[protocol]) return { protocol: `${number}` }
  const view = new DataView(header.buffer, header.byteOffset, header.length)
  if (protocol === 'icmp') {
    const type = view.getUint8(0)
    const id = ECHOES.includes(type) ? { id: view.getUint16(4) } : {}
    return { protocol, icmp: { type, code: view.getUint8(1), ...id } }
  }
  const ports = { sourcePort: view.getUint16(0), destinationPort: view.getUint16(2) }
  if (protocol !== 'tcp') return { protocol, ...ports }
  const bits = view.getUint8(13)
  return {
    protocol,
    ...ports,
    flags: TCP_FLAGS.split('')
      .filter((_, bit) => (bits & (1 << bit)) !== 0)
      .join(''),
  }
}

/** Requests and replies (RFC 792, RFC 4443). */
const ECHOES = [8, 0, 128, 129]

function nameOf(number: number): TraceProtocol | undefined {
  const names = Object.keys(IP_PROTOCOLS) as TraceProtocol[]
  return names.find(name => IP_PROTOCOLS[name] === number)
}
