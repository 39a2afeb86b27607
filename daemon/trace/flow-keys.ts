/** Keys of the programs' maps for a packet's tuple, as bpf/lib/ct.h, nat-key.h and nat-crowd.h make them. Pure. */
import type { CrowdKey, CtKey, NatKey, NatValue, Tuple } from '../datapath/shared.gen.ts'

/** True when the sender is a conntrack entry's side a: the smaller address, then the smaller port. */
export function fromA({ source, destination, sourcePort, destinationPort }: Tuple): boolean {
  const order = Buffer.compare(source, destination)
  return order === 0 ? sourcePort <= destinationPort : order < 0
}

/** One key for both directions. */
export function ctKeyOf(tuple: Tuple): CtKey {
  const [from, to] = fromA(tuple) ? [tuple, reversed(tuple)] : [reversed(tuple), tuple]
  const { protocol } = tuple
  return { a: from.source, b: to.source, portA: from.sourcePort, portB: to.sourcePort, protocol }
}

/** The tuple of packets that side a of an entry sends. */
export function tupleOfCt({ a, b, portA, portB, protocol }: CtKey): Tuple {
  return { source: a, destination: b, sourcePort: portA, destinationPort: portB, protocol }
}

/** Of the packets that come back. */
export function reversed({ source, destination, sourcePort, destinationPort, protocol }: Tuple): Tuple {
  return {
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
    protocol,
  }
}

/** What a packet goes on as by an entry of the map translations. */
export function tupleOf(
  { source, destination, sourcePort, destinationPort }: NatValue,
  { protocol }: Pick<NatKey, 'protocol'>,
): Tuple {
  return { source, destination, sourcePort, destinationPort, protocol }
}

const ICMP = [1, 58]

/** The crowd of the flows that go on as such a tuple. */
export function crowdKeyOf({ source, destination, destinationPort, protocol }: Tuple): CrowdKey {
  return { source, destination, destinationPort: ICMP.includes(protocol) ? 0 : destinationPort, protocol }
}
