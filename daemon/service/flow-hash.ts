/** The number by which the programs find a flow's place in a Maglev table; bpf/lib/maglev.h does the same. */
import { isMapped } from '../kernel/ip.ts'

const A = 0x9e3779b97f4a7c15n
const B = 0xe7037ed1a0b428dbn

/** Addresses of 16 bytes, IPv4 mapped; `protocol` is its assigned number. */
export interface FlowTuple {
  readonly source: Uint8Array
  readonly sourcePort: number
  readonly destination: Uint8Array
  readonly destinationPort: number
  readonly protocol: number
}

/** 32 bits. */
export function flowHash({ source, sourcePort, destination, destinationPort, protocol }: FlowTuple): number {
  const ports = (BigInt(sourcePort) << 32n) | BigInt(destinationPort << 8) | BigInt(protocol)
  const words = [ports, ...words64(source), ...words64(destination), B]
  const sum = words.reduce(mix, B)
  return Number(BigInt.asUintN(32, (sum >> 32n) ^ sum))
}

function mix(sum: bigint, word: bigint): bigint {
  const product = BigInt.asUintN(64, (sum ^ word) * A)
  return product ^ (product >> 32n)
}

/** Of IPv4 the half that differs between addresses. */
function words64(address: Uint8Array): bigint[] {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  const lower = view.getBigUint64(8)
  return isMapped(address) ? [lower] : [view.getBigUint64(0), lower]
}
