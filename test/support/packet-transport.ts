/** Transport and ICMP layers of the packet builder, see `packet.ts`. */
import { bytesOf } from '../../daemon/kernel/ip.ts'
import { type Body, checksum, join, type Layer, mac, PROTOCOL, u16, u32, u8 } from './packet.ts'

export const TCP = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32 } as const

export interface Tcp {
  readonly sport: number
  readonly dport: number
  /** Letters of `TCP`: `S`, `SA`, `A`, `FA`, … */
  readonly flags?: string
  readonly seq?: number
  readonly ack?: number
  /** Padded with zeros (end of options) to a multiple of 4. */
  readonly options?: Uint8Array
  /** Header length in bytes, where there are no options; more than 20 pads with zeros. */
  readonly headerLength?: number
}
export function tcp({ sport, dport, flags = 'A', seq = 1, ack = 1, options, headerLength = 20 }: Tcp): Layer {
  const bits = flags.split('').reduce((all, letter) => all | TCP[letter as keyof typeof TCP], 0)
  const length = options === undefined ? headerLength : 20 + ((options.length + 3) & ~3)
  const header = new Uint8Array(Math.max(length, 20))
  header.set(join(u16(sport, dport), u32(seq, ack), u8((length / 4) << 4, bits), u16(1000, 0, 0)))
  if (options) header.set(options, 20)
  return inner => waiting(inner, PROTOCOL.tcp, header, 16)
}

export interface Udp {
  readonly sport: number
  readonly dport: number
}
export function udp({ sport, dport }: Udp): Layer {
  return inner => waiting(inner, PROTOCOL.udp, u16(sport, dport, 8 + inner.bytes.length, 0), 6)
}

export interface Sctp extends Udp {
  /** The checksum is there; otherwise zero, as of what a device is to finish. */
  readonly summed?: boolean
}
/** The common header only (RFC 9260 section 3.1). */
export function sctp({ sport, dport, summed = false }: Sctp): Layer {
  return inner => {
    const bytes = join(u16(sport, dport), u32(7, 0), inner.bytes)
    if (summed) new DataView(bytes.buffer).setUint32(8, crc32c(bytes), true)
    return { bytes, kind: PROTOCOL.sctp }
  }
}

/** RFC 9260 appendix A, bit by bit. */
export function crc32c(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return ~crc >>> 0
}

/** Any other protocol: its content as it is. */
export function protocol(kind: number): Layer {
  return inner => ({ bytes: inner.bytes, kind })
}

export interface Icmp {
  readonly type: number
  readonly code?: number
  /** Identifier of an echo. */
  readonly id?: number
  readonly sequence?: number
}
export function icmp({ type, code = 0, id = 0, sequence = 0 }: Icmp): Layer {
  return inner => {
    const bytes = join(u8(type, code), u16(0, id, sequence), inner.bytes)
    bytes.set(u16(checksum(bytes)), 2)
    return { bytes, kind: PROTOCOL.icmp }
  }
}
export function icmpv6({ type, code = 0, id = 0, sequence = 0 }: Icmp): Layer {
  return inner => waiting(inner, PROTOCOL.icmpv6, join(u8(type, code), u16(0, id, sequence)), 2)
}

/** What an ICMP error quotes: an IP packet, from its own IP layer on. */
export function quote(...layers: readonly Layer[]): Layer {
  const none: Body = { bytes: new Uint8Array(), kind: PROTOCOL.none }
  const { bytes } = layers.reduceRight((inner, layer) => layer(inner), none)
  return inner => ({ bytes: join(bytes, inner.bytes), kind: PROTOCOL.none })
}

export interface Ndp {
  readonly type: 'solicitation' | 'advertisement'
  readonly target: string
  /** Router 4, solicited 2, override 1. */
  readonly flags?: number
  /** Link-layer address option: the source's in a solicitation, the target's in an advertisement. */
  readonly mac?: string
}
/** Neighbour discovery (RFC 4861 sections 4.3 and 4.4). */
export function ndp({ type, target, flags = 0, mac: option }: Ndp): Layer {
  const solicits = type === 'solicitation'
  const options = option === undefined ? new Uint8Array() : join(u8(solicits ? 1 : 2, 1), mac(option))
  const header = join(u8(solicits ? 135 : 136, 0), u16(0), u32(flags << 29), bytesOf(target), options)
  return inner => waiting(inner, PROTOCOL.icmpv6, header, 2)
}

/** A layer whose checksum the IP layer fills in. */
function waiting(inner: Body, kind: number, header: Uint8Array, at: number): Body {
  return { bytes: join(header, inner.bytes), kind, checksum: { start: 0, at } }
}
