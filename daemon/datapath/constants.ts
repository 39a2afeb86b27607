/** Load-time constants of the programs (bpf/lib/config.h) from the configuration and the MTU plan. Pure. */
import { EVENT_BATCH_BYTES } from './events.ts'
import type { DatapathConfig } from './config.gen.ts'
import type { Settings } from '../config/schema.ts'
import { toMapped16 } from '../kernel/ip.ts'
import type { Address, Family } from '../kernel/kernel.ts'

const SECOND_NS = 1_000_000_000n

export interface ConstantsInput {
  readonly overlay?: { readonly ifindex: number; readonly mtu: number; readonly vni: number; readonly port: number }
  readonly datapath: Settings['datapath']
  /** What other nodes know this node by; undefined where it has none of the family. */
  readonly addresses?: Readonly<Record<Family, Address | undefined>>
  /** Where sockets of the node take their source ports from. */
  readonly clientPorts?: PortRange | undefined
}

/** Both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** Where node ports lie (Kubernetes, kube-apiserver --service-node-port-range). */
const NODE_PORTS: PortRange = { first: 30_000, last: 32_767 }
/** Of Linux (ip-sysctl, ip_local_port_range). */
const CLIENT_PORTS: PortRange = { first: 32_768, last: 60_999 }

/** Values by the name of the constant; plugins may set any the programs have, also those in none of our headers. */
export type ProgramConstants = Readonly<Record<string, number | bigint | boolean>>

/** Durations in nanoseconds. */
export function programConstants(input: ConstantsInput): Partial<DatapathConfig> {
  const { overlay, datapath, addresses, clientPorts = CLIENT_PORTS } = input
  const ct = datapath.conntrack
  const ns = (seconds: number): bigint => BigInt(seconds) * SECOND_NS
  return {
    overlay_ifindex: overlay?.ifindex ?? 0,
    overlay_mtu: overlay?.mtu ?? 0,
    overlay_vni: overlay?.vni ?? 0,
    overlay_port: overlay?.port ?? 0,
    node_address4: words(addresses?.[4])[3] ?? 0,
    ...node6(words(addresses?.[6])),
    reserved_ports_first: Math.min(NODE_PORTS.first, clientPorts.first),
    reserved_ports_last: Math.max(NODE_PORTS.last, clientPorts.last),
    ct_tcp_opening_ns: ns(ct.tcpOpeningSeconds),
    ct_tcp_established_ns: ns(ct.tcpEstablishedSeconds),
    ct_tcp_closed_ns: ns(ct.tcpClosedSeconds),
    ct_udp_ns: ns(ct.udpSeconds),
    ct_icmp_ns: ns(ct.icmpSeconds),
    ct_full_drops: ct.whenFull === 'drop' ? 1 : 0,
    flow_events: datapath.flowEvents ? 7 : 0,
    event_batch_bytes: EVENT_BATCH_BYTES,
  }
}

/** The words of struct address, as this machine holds what is in network order. */
function words(address: Address | undefined): number[] {
  const bytes = address === undefined ? new Uint8Array(16) : toMapped16(address)
  return [...new Uint32Array(bytes.slice().buffer)]
}

function node6([first = 0, second = 0, third = 0, fourth = 0]: readonly number[]) {
  return { node_address6_0: first, node_address6_1: second, node_address6_2: third, node_address6_3: fourth }
}
