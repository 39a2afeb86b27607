/** Layers of packets in packets, for `packet.ts`. */
import { bytesOf } from '../../daemon/kernel/ip.ts'
import { type Layer, PROTOCOL, wrap } from './packet.ts'

export interface Geneve {
  readonly sport: number
  readonly dport?: number
  readonly vni: number
}
/** UDP without a checksum and Geneve without options (RFC 8926 section 3.4), around an IP packet. */
export function geneve({ sport, dport = 6081, vni }: Geneve): Layer {
  return inner => {
    const header = new Uint8Array(16)
    const view = new DataView(header.buffer)
    view.setUint16(0, sport)
    view.setUint16(2, dport)
    view.setUint16(4, header.length + inner.bytes.length)
    view.setUint16(10, inner.kind)
    view.setUint32(12, vni << 8)
    return wrap(inner, PROTOCOL.udp, header)
  }
}

/** The IPv4 option that tells what a client speaks to; for `options` of a header. */
export function askedOption4(address: string, port: number): Uint8Array {
  return Uint8Array.of(158, 8, port >> 8, port & 0xff, ...bytesOf(address))
}

/** The destination options header of IPv6 with the same. */
export function askedOption6(address: string, port: number): Layer {
  const option = [0x1e, 18, port >> 8, port & 0xff, ...bytesOf(address), 1, 0]
  return inner => wrap(inner, PROTOCOL.destination, Uint8Array.of(inner.kind, 2, ...option))
}
