/** What tests of NAT64 have in common: a node that translates, and packets as both sides know them. */
import assert from 'node:assert/strict'
import { beforeEach } from 'node:test'
import { codec, u32 } from '../../daemon/kernel/bpf/layout.ts'
import { toMappedPrefix } from '../../daemon/kernel/ip.ts'
import { MasqueradeFlags, rangeKeyLayout } from '../../daemon/datapath/shared.gen.ts'
import { ipv4, type Ipv4, ipv6, type Ipv6, type Layer, packet } from '../support/packet.ts'
import { packetText } from '../support/packet-text.ts'
import { icmp, icmpv6, sctp, tcp, udp } from '../support/packet-transport.ts'
import { giveAddresses } from './outside.ts'
import { type ServiceNode, serviceNode, type Way } from './service-node.ts'
import { A, HOST, OUTSIDE } from './world.ts'

const PREFIX = '64:ff9b::'
/** The source port, or identifier, of pods' flows. */
export const PORT = 40_000
/** Content of packets that are longer than what routers may cut; those have no number. */
export const LONG = 1300

export interface Nat64Node extends ServiceNode {
  /** Sends a packet and compares every byte of what it becomes. */
  readonly becomes: (way: Way, sent: readonly Layer[], comes: readonly Layer[]) => void
}

/** Call once, where hooks of the file are declared. */
export function nat64Node(): Nat64Node {
  const at = serviceNode({ constants: { masquerade_flags: MasqueradeFlags.MASQUERADE_NAT64 } })
  beforeEach(() => {
    giveAddresses(at.node, HOST)
    using prefixes = at.node.object('pod').map('nat64_prefixes', codec(rangeKeyLayout, u32))
    const { bytes, length } = toMappedPrefix(`${PREFIX}/96`)
    prefixes.update({ prefixLength: length, address: bytes }, 1)
  })
  return {
    get node() {
      return at.node
    },
    make: at.make,
    passes: at.passes,
    becomes: ([program, on, prelude], sent, comes) => {
      const result = at.node.send(program, on, sent, prelude)
      const want = packet(...comes)
      assert.equal(packetText(result.bytes), packetText(want))
      assert.equal(Buffer.from(result.bytes).toString('hex'), Buffer.from(want).toString('hex'))
      assert.equal(result.verdict, 'redirect')
    },
  }
}

/** The IPv6 address that stands for an IPv4 one. */
export function far(address: string = OUTSIDE[4]): string {
  return `${PREFIX}${address}`
}
/** The header of pod A's packet, as it sends it and as it leaves. */
export function sent6(fields: Partial<Ipv6> = {}): Layer {
  return ipv6({ src: A[6], dst: far(), ...fields })
}
export function sent4(fields: Partial<Ipv4> = {}): Layer {
  return ipv4({ src: HOST[4], dst: OUTSIDE[4], ttl: 63, id: 0, dontFragment: true, ...fields })
}
/** The header of an answer, as it comes and as pod A gets it. */
export function back4(fields: Partial<Ipv4> = {}): Layer {
  return ipv4({ src: OUTSIDE[4], dst: HOST[4], ...fields })
}
export function back6(fields: Partial<Ipv6> = {}): Layer {
  return ipv6({ src: far(), dst: A[6], hopLimit: 63, ...fields })
}

/** Transport headers of what pods send, and of what comes back: only those of an echo depend on the family. */
type Transport = (family: 4 | 6, port: number, reply?: boolean) => Layer
export const KINDS: Readonly<Record<'tcp' | 'udp' | 'sctp' | 'echo', Transport>> = {
  tcp: (_family, port, reply) =>
    reply ? tcp({ sport: 443, dport: port, flags: 'SA' }) : tcp({ sport: port, dport: 443, flags: 'S' }),
  udp: (_family, port, reply) => (reply ? udp({ sport: 53, dport: port }) : udp({ sport: port, dport: 53 })),
  sctp: (_family, port, reply) =>
    reply ? sctp({ sport: 5000, dport: port, summed: true }) : sctp({ sport: port, dport: 5000, summed: true }),
  echo: (family, id, reply) =>
    family === 4
      ? icmp({ type: reply ? 0 : 8, id, sequence: 3 })
      : icmpv6({ type: reply ? 129 : 128, id, sequence: 3 }),
}

/** An error whose second word is a number: an MTU. */
export function tooBig4(mtu: number): Layer {
  return icmp({ type: 3, code: 4, sequence: mtu })
}
export function tooBig6(mtu: number): Layer {
  return icmpv6({ type: 2, sequence: mtu })
}
