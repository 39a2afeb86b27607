/** Protocols by their assigned numbers (IANA), as masquerade tells them apart. */
import { PROTOCOL_NAMES } from '../flow/record.ts'

const ICMP: readonly number[] = [1, 58]
/** Those whose flows are told apart by something like a port; others are translated by their addresses alone. */
const WITH_PORTS: readonly number[] = [6, 17, 132, ...ICMP]

/** `TCP`, `ICMPv6`, the number of one without a name here. */
export function protocolText(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `${protocol}`
}
export function hasPorts(protocol: number): boolean {
  return WITH_PORTS.includes(protocol)
}
/** An echo's identifier stands for the ports of both sides. */
export function isIcmp(protocol: number): boolean {
  return ICMP.includes(protocol)
}
