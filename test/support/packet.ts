/**
 * Packets for tests, put together from layers: `packet(eth({…}), ipv4({…}), tcp({…}), payload(20))`. Lengths, protocol
 * numbers and checksums follow from what lies inside, unless a field says otherwise, which makes malformed packets.
 * Layers of transport protocols are in `packet-transport.ts`, packets as text in `packet-text.ts`.
 */
import { bytesOf } from '../../daemon/kernel/ip.ts'

/** What has been built so far, from the inside out. */
export interface Body {
  readonly bytes: Uint8Array
  /** IP protocol, or EtherType, of the outermost layer. */
  readonly kind: number
  /** A transport checksum that covers the addresses too and therefore waits for the IP layer. */
  readonly checksum?: { readonly start: number; readonly at: number }
}
/** Puts itself around a body. */
export type Layer = (inner: Body) => Body

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const
export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  authentication: 51,
  icmpv6: 58,
  none: 59,
  destination: 60,
  sctp: 132,
} as const

/** The bytes of a packet; the first layer is the outermost. */
export function packet(...layers: readonly Layer[]): Uint8Array {
  return layers.reduceRight((inner: Body, layer) => layer(inner), { bytes: new Uint8Array(), kind: PROTOCOL.none })
    .bytes
}

/** Content: so many bytes, or these. */
export function payload(content: number | string | Uint8Array): Layer {
  const bytes =
    typeof content === 'number'
      ? Uint8Array.from({ length: content }, (_, i) => i)
      : typeof content === 'string'
        ? new TextEncoder().encode(content)
        : content
  return inner => ({ bytes: join(bytes, inner.bytes), kind: PROTOCOL.none })
}

export interface Eth {
  readonly dst: string
  readonly src: string
  readonly type?: number
}
export function eth({ dst, src, type }: Eth): Layer {
  return inner => wrap(inner, type ?? inner.kind, join(mac(dst), mac(src), u16(type ?? inner.kind)))
}

/** An 802.1Q tag behind the MACs. */
export function vlan(id: number, type?: number): Layer {
  return inner => wrap(inner, ETHERTYPE.vlan, join(u16(id), u16(type ?? inner.kind)))
}

export interface Arp {
  readonly operation?: 'request' | 'reply' | number
  readonly senderMac: string
  readonly sender: string
  readonly targetMac?: string
  readonly target: string
}
/** ARP for IPv4 over Ethernet (RFC 826). */
export function arp({ operation = 'request', senderMac, sender, targetMac, target }: Arp): Layer {
  const code = operation === 'request' ? 1 : operation === 'reply' ? 2 : operation
  const body = join(
    u16(1, ETHERTYPE.ipv4),
    u8(6, 4),
    u16(code),
    mac(senderMac),
    bytesOf(sender),
    mac(targetMac ?? '00:00:00:00:00:00'),
    bytesOf(target),
  )
  return inner => wrap(inner, ETHERTYPE.arp, body)
}

export interface Ipv4 {
  readonly src: string
  readonly dst: string
  readonly ttl?: number
  readonly id?: number
  readonly tos?: number
  readonly protocol?: number
  /** Padded with zeros to a multiple of 4. */
  readonly options?: Uint8Array
  readonly dontFragment?: boolean
  readonly more?: boolean
  /** Bytes; a multiple of 8. */
  readonly offset?: number
  readonly totalLength?: number
  readonly headerLength?: number
  readonly version?: number
}
export function ipv4(fields: Ipv4): Layer {
  return inner => {
    const optionLength = ((fields.options?.length ?? 0) + 3) & ~3
    const length = 20 + optionLength
    const header = new Uint8Array(length)
    const view = new DataView(header.buffer)
    view.setUint8(0, ((fields.version ?? 4) << 4) | ((fields.headerLength ?? length) / 4))
    view.setUint8(1, fields.tos ?? 0)
    view.setUint16(2, fields.totalLength ?? length + inner.bytes.length)
    view.setUint16(4, fields.id ?? 1)
    view.setUint16(6, (fields.dontFragment ? 0x4000 : 0) | (fields.more ? 0x2000 : 0) | ((fields.offset ?? 0) / 8))
    view.setUint8(8, fields.ttl ?? 64)
    view.setUint8(9, fields.protocol ?? inner.kind)
    header.set(bytesOf(fields.src), 12)
    header.set(bytesOf(fields.dst), 16)
    header.set(fields.options ?? [], 20)
    view.setUint16(10, checksum(header))
    return wrap(withChecksum(inner, bytesOf(fields.src), bytesOf(fields.dst)), ETHERTYPE.ipv4, header)
  }
}

export interface Ipv6 {
  readonly src: string
  readonly dst: string
  readonly hopLimit?: number
  readonly flow?: number
  readonly next?: number
  readonly payloadLength?: number
  readonly version?: number
}
export function ipv6(fields: Ipv6): Layer {
  return inner => {
    const header = join(
      u16(((fields.version ?? 6) << 12) | ((fields.flow ?? 0) >> 16), (fields.flow ?? 0) & 0xffff),
      u16(fields.payloadLength ?? inner.bytes.length),
      u8(fields.next ?? inner.kind, fields.hopLimit ?? 64),
      bytesOf(fields.src),
      bytesOf(fields.dst),
    )
    return wrap(withChecksum(inner, bytesOf(fields.src), bytesOf(fields.dst)), ETHERTYPE.ipv6, header)
  }
}

/** An IPv6 extension header of `length` bytes, a multiple of 8 (RFC 8200 section 4); padded by PadN. */
export function extension(kind: number, length = 8): Layer {
  const pad = length > 4 ? [1, length - 4] : [0, 0]
  return inner => {
    const header = join(u8(inner.kind, kind === PROTOCOL.authentication ? length / 4 - 2 : length / 8 - 1), u8(...pad))
    return wrap(inner, kind, join(header, new Uint8Array(length - header.length)))
  }
}

export interface Fragment6 {
  readonly id: number
  /** Bytes; a multiple of 8. */
  readonly offset?: number
  readonly more?: boolean
  readonly next?: number
}
export function fragment6({ id, offset = 0, more = false, next }: Fragment6): Layer {
  return inner =>
    wrap(
      inner,
      PROTOCOL.fragment,
      join(u8(next ?? inner.kind, 0), u16(offset | (more ? 1 : 0)), u16(id >>> 16, id & 0xffff)),
    )
}

/** A header in front of a body. */
export function wrap(inner: Body, kind: number, header: Uint8Array): Body {
  const bytes = join(header, inner.bytes)
  if (inner.checksum === undefined) return { bytes, kind }
  const { start, at } = inner.checksum
  return { bytes, kind, checksum: { start: start + header.length, at: at + header.length } }
}

/** Fills in the checksum that waited for the addresses (RFC 9293 section 3.1, RFC 8200 section 8.1). */
function withChecksum(inner: Body, src: Uint8Array, dst: Uint8Array): Body {
  if (inner.checksum === undefined) return inner
  const { start, at } = inner.checksum
  const bytes = Uint8Array.from(inner.bytes)
  const covered = bytes.subarray(start)
  const protocol = transportOf(inner)
  const pseudo = join(src, dst, u16(covered.length >>> 16, covered.length & 0xffff, 0, protocol))
  const sum = checksum(join(pseudo, covered))
  new DataView(bytes.buffer).setUint16(at, sum === 0 && protocol === PROTOCOL.udp ? 0xffff : sum)
  return { bytes, kind: inner.kind }
}

/** Protocol of the layer whose checksum waits, behind extension headers by the place of its checksum. */
function transportOf(inner: Body): number {
  const { start, at } = inner.checksum ?? { start: 0, at: 0 }
  if (start === 0) return inner.kind
  return at - start === 16 ? PROTOCOL.tcp : at - start === 6 ? PROTOCOL.udp : PROTOCOL.icmpv6
}

/** The Internet checksum (RFC 1071). */
export function checksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
export function u8(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values)
}
/** Network order. */
export function u16(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap(v => [v >> 8, v & 0xff]))
}
export function u32(...values: readonly number[]): Uint8Array {
  return u16(...values.flatMap(v => [v >>> 16, v & 0xffff]))
}
export function mac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':').map(part => Number.parseInt(part, 16)))
}
