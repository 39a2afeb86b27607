/**
 * Where flows go and by which address of the node: what they share ports with each other by. Kept as text with a
 * character for each byte, of which V8 keeps no more: there may be hundreds of thousands. Pure.
 */
import { fromMapped16, toMapped16 } from '../kernel/ip.ts'
import type { Address } from '../kernel/kernel.ts'
import { protocolText } from './protocols.ts'

/** A way for people. */
export interface NatWay {
  readonly protocol: string
  readonly destination: Address
  /** Absent for ICMP and protocols without ports. */
  readonly destinationPort?: number
  readonly egressAddress: Address
}

const [DESTINATION, PORT, PROTOCOL, END] = [16, 32, 34, 35]

/** The way's text; addresses in 16 bytes, the port 0 where it does not count. */
export function wayText(egress: Uint8Array, destination: Uint8Array, port: number, protocol: number): string {
  const bytes = Buffer.allocUnsafe(END)
  bytes.set(egress, 0)
  bytes.set(destination, DESTINATION)
  bytes.writeUInt16BE(port, PORT)
  bytes[PROTOCOL] = protocol
  return bytes.toString('latin1')
}

/** What a text stands for. */
export function natWay(text: string): NatWay {
  const bytes = Buffer.from(text, 'latin1')
  const port = bytes.readUInt16BE(PORT)
  return {
    protocol: protocolText(protocolOf(text)),
    destination: fromMapped16(bytes.subarray(DESTINATION, PORT)),
    ...(port === 0 ? {} : { destinationPort: port }),
    egressAddress: fromMapped16(bytes.subarray(0, DESTINATION)),
  }
}

/** Its assigned number (IANA). */
export function protocolOf(way: string): number {
  return way.charCodeAt(PROTOCOL)
}
/** The node's address, as text. */
export function egressText(way: string): string {
  return way.slice(0, DESTINATION)
}

/** An address in 16 bytes as text. */
export function addressText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
export function addressOf(text: string): Address {
  return fromMapped16(Buffer.from(text, 'latin1'))
}
export function textOfAddress(address: Address): string {
  return addressText(toMapped16(address))
}
