/** Load-time constants of the programs (bpf/lib/config.h) from the configuration and the MTU plan. Pure. */
import { EVENT_BATCH_BYTES } from './events.ts'
import type { DatapathConfig } from './config.gen.ts'
import { DsrDispatch, NicFlags, SteadySize } from './shared.gen.ts'
import type { Settings } from '../config/schema.ts'

const SECOND_NS = 1_000_000_000n

export interface ConstantsInput {
  readonly overlay?: { readonly ifindex: number; readonly mtu: number; readonly vni: number; readonly port: number }
  readonly datapath: Settings['datapath']
  /** Sets of flows whose way is remembered in front of the stack, per CPU: a power of two. */
  readonly steadySets?: number
  /** Of the namespace of the node's own processes. */
  readonly hostNetns?: bigint
  /** Off when absent. */
  readonly dsr?: { readonly dispatch: keyof typeof DISPATCHES; readonly port: number; readonly vni: number }
  /** Senders to a service that nobody serves hear nothing. */
  readonly silent?: boolean
  /** The node may have pods that another CNI attached. */
  readonly formerPods?: boolean
  /** Pods have addresses of network interfaces of the machine; what chooses the one that their packets leave by. */
  readonly nics?: 'ebpf' | 'rules'
  /** Where sockets of the node take their source ports from. */
  readonly clientPorts?: PortRange | undefined
}

/** Both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** Where node ports lie (Kubernetes, kube-apiserver --service-node-port-range). */
export const NODE_PORTS: PortRange = { first: 30_000, last: 32_767 }
/** Of Linux (ip-sysctl, ip_local_port_range). */
const CLIENT_PORTS: PortRange = { first: 32_768, last: 60_999 }

const DISPATCHES = {
  off: DsrDispatch.DSR_OFF,
  option: DsrDispatch.DSR_OPTION,
  ipip: DsrDispatch.DSR_IPIP,
  geneve: DsrDispatch.DSR_GENEVE,
} as const

const NIC_FLAGS = {
  ebpf: NicFlags.NIC_PODS | NicFlags.NIC_EGRESS,
  rules: NicFlags.NIC_PODS,
} as const

/** Values by the name of the constant; plugins may set any the programs have, also those in none of our headers. */
export type ProgramConstants = Readonly<Record<string, number | bigint | boolean>>

/** Durations in nanoseconds. */
export function programConstants(input: ConstantsInput): Partial<DatapathConfig> {
  const { overlay, datapath, dsr, clientPorts = CLIENT_PORTS } = input
  const ct = datapath.conntrack
  const ns = (seconds: number): bigint => BigInt(seconds) * SECOND_NS
  return {
    overlay_ifindex: overlay?.ifindex ?? 0,
    overlay_mtu: overlay?.mtu ?? 0,
    overlay_vni: overlay?.vni ?? dsr?.vni ?? 0,
    overlay_port: overlay?.port ?? 0,
    ...(input.steadySets === undefined ? {} : { steady_sets: input.steadySets }),
    host_netns: input.hostNetns ?? 0n,
    dsr_dispatch: DISPATCHES[dsr?.dispatch ?? 'off'],
    dsr_port: dsr?.port ?? 0,
    nic_flags: input.nics === undefined ? 0 : NIC_FLAGS[input.nics],
    former_pods: input.formerPods === true ? 1 : 0,
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
    ...(input.silent ? { answers_per_second: 0 } : {}),
  }
}

/** Of all CPUs together; each gets at least as many as a cache of the second level holds. */
const STEADY_FLOWS = 131_072
const LEAST_STEADY_FLOWS = 1024

/** In how many sets each CPU remembers them. */
export function steadySets(cpus: number): number {
  return Math.max(LEAST_STEADY_FLOWS, 2 ** Math.floor(Math.log2(STEADY_FLOWS / cpus))) / SteadySize.STEADY_WAYS
}

/** Entries of the map `steady`: each CPU has one set more, for flows that find theirs full. */
export function steadyEntries(cpus: number, sets = steadySets(cpus)): number {
  return cpus * (sets + 1)
}
