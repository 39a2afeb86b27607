/** Structures and numbers shared with the programs. Values in network order are numbers here; addresses are bytes. Generated from bpf/lib/shared.h by `npm run gen`; not to be edited. */
import { getBytes, type Layout, putBytes, putZeros } from '../kernel/bpf/layout.ts'

/** `struct address`, 16 bytes. In TypeScript its bytes; see decodeAddress. */
export const ADDRESS_SIZE = 16
export function decodeAddress(view: DataView, at: number): Uint8Array {
  return getBytes(view, at, 16)
}
export function encodeAddress(view: DataView, at: number, value: Uint8Array): void {
  putBytes(view, at, value, 16)
}
export const addressLayout: Layout<Uint8Array> = {
  size: ADDRESS_SIZE,
  decode: decodeAddress,
  encode: encodeAddress,
}

/** `struct tuple`, 40 bytes. What tells flows apart, in the direction a packet travels. */
export interface Tuple {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** ICMP echo: the identifier in both; protocols without ports: 0. */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly protocol: number
}
export const TUPLE_SIZE = 40
export function decodeTuple(view: DataView, at: number): Tuple {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    sourcePort: view.getUint16(at + 32, false),
    destinationPort: view.getUint16(at + 34, false),
    protocol: view.getUint8(at + 36),
  }
}
export function encodeTuple(view: DataView, at: number, value: Tuple): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setUint16(at + 32, value.sourcePort, false)
  view.setUint16(at + 34, value.destinationPort, false)
  view.setUint8(at + 36, value.protocol)
  putZeros(view, at + 37, 3)
}
export const tupleLayout: Layout<Tuple> = {
  size: TUPLE_SIZE,
  decode: decodeTuple,
  encode: encodeTuple,
}

/** `family`. Where a map has one entry for each. */
export const Family = {
  FAMILY_IPV4: 0,
  FAMILY_IPV6: 1,
  FAMILIES: 2,
} as const
export type Family = (typeof Family)[keyof typeof Family]

/** `endpoint_flags`. Kinds of endpoints. */
export const EndpointFlags = {
  /** An address of this node: the packet goes to the host's stack. */
  ENDPOINT_HOST: 1,
  /** Besides: not of the node itself, but of a pod that another CNI attached to its stack. */
  ENDPOINT_FORMER: 2,
} as const
export type EndpointFlags = (typeof EndpointFlags)[keyof typeof EndpointFlags]

/** `struct endpoint_value`, 24 bytes. Endpoints: an address of a local pod, or of the node itself → where it lives. */
export interface EndpointValue {
  /** Host side of the pod's pair; 0 for the host. */
  readonly ifindex: number
  /** Endpoint id shown in flow records; 0 for the host. */
  readonly id: number
  /** `EndpointFlags`. */
  readonly flags: number
  /** Of the pod's own interface. */
  readonly mac: Uint8Array
  readonly hostMac: Uint8Array
}
export const ENDPOINT_VALUE_SIZE = 24
export function decodeEndpointValue(view: DataView, at: number): EndpointValue {
  return {
    ifindex: view.getUint32(at, true),
    id: view.getUint32(at + 4, true),
    flags: view.getUint32(at + 8, true),
    mac: getBytes(view, at + 12, 6),
    hostMac: getBytes(view, at + 18, 6),
  }
}
export function encodeEndpointValue(view: DataView, at: number, value: EndpointValue): void {
  view.setUint32(at, value.ifindex, true)
  view.setUint32(at + 4, value.id, true)
  view.setUint32(at + 8, value.flags, true)
  putBytes(view, at + 12, value.mac, 6)
  putBytes(view, at + 18, value.hostMac, 6)
}
export const endpointValueLayout: Layout<EndpointValue> = {
  size: ENDPOINT_VALUE_SIZE,
  decode: decodeEndpointValue,
  encode: encodeEndpointValue,
}

/** `ipcache_flags`. Ways to another node. */
export const IpcacheFlags = {
  /** Reached through the overlay, at tunnel. */
  IPCACHE_OVERLAY: 1,
  /** An address of the node itself. */
  IPCACHE_NODE: 2,
  IPCACHE_CLOUD: 4,
} as const
export type IpcacheFlags = (typeof IpcacheFlags)[keyof typeof IpcacheFlags]

/** `struct ipcache_key`, 20 bytes. Ipcache: longest prefix → the node it lives on and how to reach it. */
export interface IpcacheKey {
  /** 0–128, over the 16-byte address. */
  readonly prefixLength: number
  readonly address: Uint8Array
}
export const IPCACHE_KEY_SIZE = 20
export function decodeIpcacheKey(view: DataView, at: number): IpcacheKey {
  return {
    prefixLength: view.getUint32(at, true),
    address: decodeAddress(view, at + 4),
  }
}
export function encodeIpcacheKey(view: DataView, at: number, value: IpcacheKey): void {
  view.setUint32(at, value.prefixLength, true)
  encodeAddress(view, at + 4, value.address)
}
export const ipcacheKeyLayout: Layout<IpcacheKey> = {
  size: IPCACHE_KEY_SIZE,
  decode: decodeIpcacheKey,
  encode: encodeIpcacheKey,
}

/** `struct ipcache_value`, 24 bytes. */
export interface IpcacheValue {
  readonly tunnel: Uint8Array
  /** `IpcacheFlags`. */
  readonly flags: number
  /** Node id shown in flow records. */
  readonly node: number
}
export const IPCACHE_VALUE_SIZE = 24
export function decodeIpcacheValue(view: DataView, at: number): IpcacheValue {
  return {
    tunnel: decodeAddress(view, at),
    flags: view.getUint32(at + 16, true),
    node: view.getUint32(at + 20, true),
  }
}
export function encodeIpcacheValue(view: DataView, at: number, value: IpcacheValue): void {
  encodeAddress(view, at, value.tunnel)
  view.setUint32(at + 16, value.flags, true)
  view.setUint32(at + 20, value.node, true)
}
export const ipcacheValueLayout: Layout<IpcacheValue> = {
  size: IPCACHE_VALUE_SIZE,
  decode: decodeIpcacheValue,
  encode: encodeIpcacheValue,
}

/** `struct ct_key`, 40 bytes. Conntrack: one entry for both directions; a is the smaller (address, port) by memcmp. */
export interface CtKey {
  readonly a: Uint8Array
  readonly b: Uint8Array
  /** ICMP echo: the identifier in both. */
  readonly portA: number
  readonly portB: number
  readonly protocol: number
}
export const CT_KEY_SIZE = 40
export function decodeCtKey(view: DataView, at: number): CtKey {
  return {
    a: decodeAddress(view, at),
    b: decodeAddress(view, at + 16),
    portA: view.getUint16(at + 32, false),
    portB: view.getUint16(at + 34, false),
    protocol: view.getUint8(at + 36),
  }
}
export function encodeCtKey(view: DataView, at: number, value: CtKey): void {
  encodeAddress(view, at, value.a)
  encodeAddress(view, at + 16, value.b)
  view.setUint16(at + 32, value.portA, false)
  view.setUint16(at + 34, value.portB, false)
  view.setUint8(at + 36, value.protocol)
  putZeros(view, at + 37, 3)
}
export const ctKeyLayout: Layout<CtKey> = {
  size: CT_KEY_SIZE,
  decode: decodeCtKey,
  encode: encodeCtKey,
}

/** `ct_flags`. What is known of a flow. */
export const CtFlags = {
  /** The flow was opened by a. */
  CT_ORIGIN_A: 1,
  /** A packet came back. */
  CT_REPLIED: 2,
  /** FIN seen from a. */
  CT_FIN_A: 4,
  /** FIN seen from b. */
  CT_FIN_B: 8,
  CT_RST: 16,
  /** Entered a pod through the host's stack: replies go back through it. */
  CT_VIA_STACK: 32,
  /** TCP: handshake complete; others: replied. */
  CT_ESTABLISHED: 64,
  /** TCP: first seen in mid-stream, so the opener is a guess. */
  CT_PICKED_UP: 128,
  /** Translations holds what its packets come as; the entry is of what they go on as. */
  CT_TRANSLATED: 256,
  /** Its backend answers the client past this node. */
  CT_ONE_WAY: 512,
  /** All but the first of its opener's packets come as they go on, from the node that chose. */
  CT_DIRECT: 1024,
  /** TCP: the side that did not open closed first, and remembers the connection (TIME-WAIT). */
  CT_WAITS: 2048,
} as const
export type CtFlags = (typeof CtFlags)[keyof typeof CtFlags]

/** `struct ct_value`, 56 bytes. */
export interface CtValue {
  /** bpf_ktime_get_coarse_ns at which the entry is void. */
  readonly expires: bigint
  readonly created: bigint
  /** Sent by a; approximate under contention. */
  readonly packetsA: bigint
  readonly packetsB: bigint
  readonly bytesA: bigint
  readonly bytesB: bigint
  /** `CtFlags`. */
  readonly flags: number
  /** With CT_WAITS: the sequence number behind all that the opener has sent. */
  readonly end: number
}
export const CT_VALUE_SIZE = 56
export function decodeCtValue(view: DataView, at: number): CtValue {
  return {
    expires: view.getBigUint64(at, true),
    created: view.getBigUint64(at + 8, true),
    packetsA: view.getBigUint64(at + 16, true),
    packetsB: view.getBigUint64(at + 24, true),
    bytesA: view.getBigUint64(at + 32, true),
    bytesB: view.getBigUint64(at + 40, true),
    flags: view.getUint32(at + 48, true),
    end: view.getUint32(at + 52, true),
  }
}
export function encodeCtValue(view: DataView, at: number, value: CtValue): void {
  view.setBigUint64(at, value.expires, true)
  view.setBigUint64(at + 8, value.created, true)
  view.setBigUint64(at + 16, value.packetsA, true)
  view.setBigUint64(at + 24, value.packetsB, true)
  view.setBigUint64(at + 32, value.bytesA, true)
  view.setBigUint64(at + 40, value.bytesB, true)
  view.setUint32(at + 48, value.flags, true)
  view.setUint32(at + 52, value.end, true)
}
export const ctValueLayout: Layout<CtValue> = {
  size: CT_VALUE_SIZE,
  decode: decodeCtValue,
  encode: encodeCtValue,
}

/** `struct nat_key`, 40 bytes. Translations: a packet as it comes → as it goes on. Each translated flow has two entries, one for each direction; both are void without a translated flow in conntrack. */
export interface NatKey {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  readonly protocol: number
}
export const NAT_KEY_SIZE = 40
export function decodeNatKey(view: DataView, at: number): NatKey {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    sourcePort: view.getUint16(at + 32, false),
    destinationPort: view.getUint16(at + 34, false),
    protocol: view.getUint8(at + 36),
  }
}
export function encodeNatKey(view: DataView, at: number, value: NatKey): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setUint16(at + 32, value.sourcePort, false)
  view.setUint16(at + 34, value.destinationPort, false)
  view.setUint8(at + 36, value.protocol)
  putZeros(view, at + 37, 3)
}
export const natKeyLayout: Layout<NatKey> = {
  size: NAT_KEY_SIZE,
  decode: decodeNatKey,
  encode: encodeNatKey,
}

/** `nat_flags`. */
export const NatFlags = {
  /** Of the packets that go back to who opened the flow. */
  NAT_REPLY: 1,
  /** To a backend of another node, which answers the client past this one. */
  NAT_DSR: 2,
  /** From the node that chose the backend, as they go on: see CT_DIRECT. */
  NAT_DIRECT: 4,
  /** Of a pod's flow that leaves the cluster with one of this node's addresses. */
  NAT_EGRESS: 8,
  /** Packets go on in the other family, ICMP as that family's own. */
  NAT_OTHER_FAMILY: 16,
} as const
export type NatFlags = (typeof NatFlags)[keyof typeof NatFlags]

/** `struct nat_value`, 56 bytes. */
export interface NatValue {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  /** `NatFlags`. */
  readonly flags: number
  /** bpf_ktime_get_coarse_ns. */
  readonly created: bigint
  /** Id of a service's backend; 0 when it was no service. */
  readonly backend: number
  /** With NAT_REPLY: the network interface that the flow came in by; 0 where it does not matter. */
  readonly ifindex: number
}
export const NAT_VALUE_SIZE = 56
export function decodeNatValue(view: DataView, at: number): NatValue {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    sourcePort: view.getUint16(at + 32, false),
    destinationPort: view.getUint16(at + 34, false),
    flags: view.getUint32(at + 36, true),
    created: view.getBigUint64(at + 40, true),
    backend: view.getUint32(at + 48, true),
    ifindex: view.getUint32(at + 52, true),
  }
}
export function encodeNatValue(view: DataView, at: number, value: NatValue): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setUint16(at + 32, value.sourcePort, false)
  view.setUint16(at + 34, value.destinationPort, false)
  view.setUint32(at + 36, value.flags, true)
  view.setBigUint64(at + 40, value.created, true)
  view.setUint32(at + 48, value.backend, true)
  view.setUint32(at + 52, value.ifindex, true)
}
export const natValueLayout: Layout<NatValue> = {
  size: NAT_VALUE_SIZE,
  decode: decodeNatValue,
  encode: encodeNatValue,
}

/** `struct frag_key`, 40 bytes. Fragments: first fragment → ports for those that follow (RFC 791, RFC 8200 section 4.5). */
export interface FragKey {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly id: number
  readonly protocol: number
}
export const FRAG_KEY_SIZE = 40
export function decodeFragKey(view: DataView, at: number): FragKey {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    id: view.getUint32(at + 32, false),
    protocol: view.getUint8(at + 36),
  }
}
export function encodeFragKey(view: DataView, at: number, value: FragKey): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setUint32(at + 32, value.id, false)
  view.setUint8(at + 36, value.protocol)
  putZeros(view, at + 37, 3)
}
export const fragKeyLayout: Layout<FragKey> = {
  size: FRAG_KEY_SIZE,
  decode: decodeFragKey,
  encode: encodeFragKey,
}

/** `struct frag_value`, 4 bytes. */
export interface FragValue {
  readonly sourcePort: number
  readonly destinationPort: number
}
export const FRAG_VALUE_SIZE = 4
export function decodeFragValue(view: DataView, at: number): FragValue {
  return {
    sourcePort: view.getUint16(at, false),
    destinationPort: view.getUint16(at + 2, false),
  }
}
export function encodeFragValue(view: DataView, at: number, value: FragValue): void {
  view.setUint16(at, value.sourcePort, false)
  view.setUint16(at + 2, value.destinationPort, false)
}
export const fragValueLayout: Layout<FragValue> = {
  size: FRAG_VALUE_SIZE,
  decode: decodeFragValue,
  encode: encodeFragValue,
}

/** `hook`. Where in the datapath an event was seen. Append-only. */
export const Hook = {
  HOOK_POD_OUT: 1,
  HOOK_POD_IN: 2,
  HOOK_UPLINK_IN: 3,
  HOOK_UPLINK_OUT: 4,
  HOOK_OVERLAY_IN: 5,
  HOOK_OVERLAY_OUT: 6,
  /** Not a hook: the program that expires conntrack. */
  HOOK_EXPIRY: 7,
  /** A socket's connect or sendmsg. */
  HOOK_SOCKET: 8,
  HOOK_UPLINK_XDP: 9,
  HOOK_MAX: 10,
} as const
export type Hook = (typeof Hook)[keyof typeof Hook]

/** `event_kind`. What an event tells. */
export const EventKind = {
  EVENT_DROP: 1,
  /** A moment of a flow, told by ct_flags and moment. */
  EVENT_FLOW: 2,
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

/** `flow_moment`. Moments of a flow that are reported; or-ed in the load-time constant flow_events. */
export const FlowMoment = {
  /** Its first packet. */
  FLOW_FIRST: 1,
  /** The first packet back. */
  FLOW_REPLY: 2,
  /** FIN from both sides, RST, or expiry without either. */
  FLOW_END: 4,
} as const
export type FlowMoment = (typeof FlowMoment)[keyof typeof FlowMoment]

/** `drop_reason`. Append-only; a retired reason keeps its number. The texts for people are in daemon/flow/drop-reasons.ts. */
export const DropReason = {
  DROP_NONE: 0,
  /** Shorter than its own headers say. */
  DROP_MALFORMED: 1,
  /** Neither IPv4, IPv6 nor ARP. */
  DROP_UNSUPPORTED_L3: 2,
  /** VLAN tag on a device that carries none. */
  DROP_VLAN: 3,
  /** Source address is not the pod's. */
  DROP_SPOOFED_ADDRESS: 4,
  /** Source MAC is not the pod's. */
  DROP_SPOOFED_MAC: 5,
  /** Overlay packet for a pod that is not here. */
  DROP_NO_ENDPOINT: 6,
  /** The node has no route to the destination. */
  DROP_NO_ROUTE: 7,
  /** Tunnel metadata could not be set or read. */
  DROP_TUNNEL: 8,
  /** Conntrack full and strict by configuration. */
  DROP_CT_FULL: 9,
  /** Packet cannot belong to any state of its flow. */
  DROP_CT_INVALID: 10,
  /** Retired: no program learns that a redirect failed. */
  DROP_REDIRECT: 11,
  /** Multicast without the multicast plugin. */
  DROP_MULTICAST: 12,
  /** ARP or neighbour advertisement for an address that is not the pod's. */
  DROP_FORGED_NEIGHBOUR: 13,
  /** Overlay packet whose source is a local pod. */
  DROP_LOOP: 14,
  /** Service that nobody serves. */
  DROP_NO_BACKEND: 15,
  /** A service's address at a port that no service has. */
  DROP_SERVICE_PORT: 16,
  /** No room for a translation. */
  DROP_NAT_FULL: 17,
  /** No source port is free for the destination. */
  DROP_NAT_PORTS: 18,
  /** Fragment to a service that came before the first of its datagram. */
  DROP_FRAGMENT_EARLY: 19,
  /** Longer than the way to a service's backend or client takes. */
  DROP_TOO_BIG: 20,
  /** Client that the load balancer's source ranges leave out. */
  DROP_SOURCE_RANGE: 21,
  /** Ports would have to change, which it has not, or which its checksum does not allow. */
  DROP_NAT_PROTOCOL: 22,
  /** Sent on by another node for a service, which this one cannot deliver. */
  DROP_DSR: 23,
  DROP_NO_GATEWAY: 24,
  /** Its flow went by another gateway before, and begins anew. */
  DROP_GATEWAY_MOVED: 25,
  /** Of a new pod: whether a policy selects it is not known yet. */
  DROP_LABELS_UNKNOWN: 26,
  /** By NAT64 to an IPv4 address that is no host's outside. */
  DROP_NAT64_INSIDE: 27,
  /** What NAT64 does not translate: a fragment, an option, a message of ICMP. */
  DROP_NAT64_FORM: 28,
  /** On its last hop, and the host's stack knows nothing of where it goes. */
  DROP_HOPS: 29,
  /** Would be a new translation, while maps take the place of others. */
  DROP_CHANGE_OVER: 30,
  /** Its source is of a network interface that the machine does not have. */
  DROP_NO_INTERFACE: 31,
} as const
export type DropReason = (typeof DropReason)[keyof typeof DropReason]

/** `struct event`, 104 bytes. Events: what the ring buffer carries. */
export interface Event {
  /** CLOCK_MONOTONIC (bpf_ktime_get_ns). */
  readonly timeNs: bigint
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** ICMP: type. */
  readonly sourcePort: number
  /** ICMP: code. */
  readonly destinationPort: number
  readonly protocol: number
  readonly tcpFlags: number
  /** `EventKind`. */
  readonly kind: number
  /** `Hook`. */
  readonly hook: number
  /** `DropReason`. */
  readonly reason: number
  /** 1: travels against the direction the flow was opened in. */
  readonly reply: number
  /** Host order; what was seen when the packet is no IP. */
  readonly ethertype: number
  /** Id of the rule that caused it; 0 for none, a reason that an option caused names it. */
  readonly rule: number
  readonly ifindex: number
  /** Bytes on the device, L2 included. */
  readonly length: number
  readonly ctFlags: number
  /** `FlowMoment`; 0 for drops. */
  readonly moment: number
  /** Of the flow so far, by the direction it was opened in; 0 for drops. */
  readonly packets: bigint
  readonly bytes: bigint
  readonly replyPackets: bigint
  readonly replyBytes: bigint
}
export const EVENT_SIZE = 104
export function decodeEvent(view: DataView, at: number): Event {
  return {
    timeNs: view.getBigUint64(at, true),
    source: decodeAddress(view, at + 8),
    destination: decodeAddress(view, at + 24),
    sourcePort: view.getUint16(at + 40, false),
    destinationPort: view.getUint16(at + 42, false),
    protocol: view.getUint8(at + 44),
    tcpFlags: view.getUint8(at + 45),
    kind: view.getUint8(at + 46),
    hook: view.getUint8(at + 47),
    reason: view.getUint8(at + 48),
    reply: view.getUint8(at + 49),
    ethertype: view.getUint16(at + 50, true),
    rule: view.getUint32(at + 52, true),
    ifindex: view.getUint32(at + 56, true),
    length: view.getUint32(at + 60, true),
    ctFlags: view.getUint32(at + 64, true),
    moment: view.getUint32(at + 68, true),
    packets: view.getBigUint64(at + 72, true),
    bytes: view.getBigUint64(at + 80, true),
    replyPackets: view.getBigUint64(at + 88, true),
    replyBytes: view.getBigUint64(at + 96, true),
  }
}
export function encodeEvent(view: DataView, at: number, value: Event): void {
  view.setBigUint64(at, value.timeNs, true)
  encodeAddress(view, at + 8, value.source)
  encodeAddress(view, at + 24, value.destination)
  view.setUint16(at + 40, value.sourcePort, false)
  view.setUint16(at + 42, value.destinationPort, false)
  view.setUint8(at + 44, value.protocol)
  view.setUint8(at + 45, value.tcpFlags)
  view.setUint8(at + 46, value.kind)
  view.setUint8(at + 47, value.hook)
  view.setUint8(at + 48, value.reason)
  view.setUint8(at + 49, value.reply)
  view.setUint16(at + 50, value.ethertype, true)
  view.setUint32(at + 52, value.rule, true)
  view.setUint32(at + 56, value.ifindex, true)
  view.setUint32(at + 60, value.length, true)
  view.setUint32(at + 64, value.ctFlags, true)
  view.setUint32(at + 68, value.moment, true)
  view.setBigUint64(at + 72, value.packets, true)
  view.setBigUint64(at + 80, value.bytes, true)
  view.setBigUint64(at + 88, value.replyPackets, true)
  view.setBigUint64(at + 96, value.replyBytes, true)
}
export const eventLayout: Layout<Event> = {
  size: EVENT_SIZE,
  decode: decodeEvent,
  encode: encodeEvent,
}

/** `budget_kind`. What has a budget. */
export const BudgetKind = {
  BUDGET_DROP_EVENTS: 0,
  /** That nobody serves. */
  BUDGET_ANSWERS: 1,
  BUDGETS: 2,
} as const
export type BudgetKind = (typeof BudgetKind)[keyof typeof BudgetKind]

/** `struct event_budget`, 16 bytes. Per CPU: how many may still be sent. */
export interface EventBudget {
  readonly refilledNs: bigint
  readonly tokens: bigint
}
export const EVENT_BUDGET_SIZE = 16
export function decodeEventBudget(view: DataView, at: number): EventBudget {
  return {
    refilledNs: view.getBigUint64(at, true),
    tokens: view.getBigUint64(at + 8, true),
  }
}
export function encodeEventBudget(view: DataView, at: number, value: EventBudget): void {
  view.setBigUint64(at, value.refilledNs, true)
  view.setBigUint64(at + 8, value.tokens, true)
}
export const eventBudgetLayout: Layout<EventBudget> = {
  size: EVENT_BUDGET_SIZE,
  decode: decodeEventBudget,
  encode: encodeEventBudget,
}

/** `struct ct_expiry`, 40 bytes. Context of the program ct_expire; the kernel writes it back to the caller's memory. */
export interface CtExpiry {
  readonly live: bigint
  readonly expired: bigint
  /** Entries of that map that are in use. */
  readonly translations: bigint
  /** 1: flows of backends in that map are to be counted. */
  readonly loads: bigint
  /** Entries of nat_crowds. */
  readonly crowds: bigint
}
export const CT_EXPIRY_SIZE = 40
export function decodeCtExpiry(view: DataView, at: number): CtExpiry {
  return {
    live: view.getBigUint64(at, true),
    expired: view.getBigUint64(at + 8, true),
    translations: view.getBigUint64(at + 16, true),
    loads: view.getBigUint64(at + 24, true),
    crowds: view.getBigUint64(at + 32, true),
  }
}
export function encodeCtExpiry(view: DataView, at: number, value: CtExpiry): void {
  view.setBigUint64(at, value.live, true)
  view.setBigUint64(at + 8, value.expired, true)
  view.setBigUint64(at + 16, value.translations, true)
  view.setBigUint64(at + 24, value.loads, true)
  view.setBigUint64(at + 32, value.crowds, true)
}
export const ctExpiryLayout: Layout<CtExpiry> = {
  size: CT_EXPIRY_SIZE,
  decode: decodeCtExpiry,
  encode: encodeCtExpiry,
}

/** `struct hop`, 64 bytes. Hops: the kernel's answer to where a packet between two addresses goes on, for a moment; per CPU. */
export interface Hop {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** bpf_ktime_get_coarse_ns; 0: nothing is known. */
  readonly until: bigint
  /** Where it comes in and goes out. */
  readonly ifindex: number
  /** As they lie in a frame: the next hop's, this node's. */
  readonly macs: Uint8Array
  readonly mtu: number
}
export const HOP_SIZE = 64
export function decodeHop(view: DataView, at: number): Hop {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    until: view.getBigUint64(at + 32, true),
    ifindex: view.getUint32(at + 40, true),
    macs: getBytes(view, at + 44, 12),
    mtu: view.getUint16(at + 56, true),
  }
}
export function encodeHop(view: DataView, at: number, value: Hop): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setBigUint64(at + 32, value.until, true)
  view.setUint32(at + 40, value.ifindex, true)
  putBytes(view, at + 44, value.macs, 12)
  view.setUint16(at + 56, value.mtu, true)
  putZeros(view, at + 58, 6)
}
export const hopLayout: Layout<Hop> = {
  size: HOP_SIZE,
  decode: decodeHop,
  encode: encodeHop,
}

/** `struct steady`, 128 bytes. Steady: what packets of a flow that turns around in front of the stack go on as and where to, for a moment. What was counted of them is not yet in conntrack. What tells whether a packet is of the flow lies in the first 64 bytes. */
export interface Steady {
  readonly came: NatKey
  /** bpf_ktime_get_coarse_ns; 0: nothing is known. */
  readonly until: bigint
  /** Where it comes in and goes out. */
  readonly ifindex: number
  readonly packets: number
  /** Of so short a time that a flow would have to send 170 Gbit/s to exceed it. */
  readonly bytes: number
  readonly mtu: number
  /** `NatFlags`. */
  readonly flags: number
  /** Of those that are wrapped this node's. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly sourcePort: number
  readonly destinationPort: number
  /** Id of a service's backend; 0 when it was no service. */
  readonly backend: number
  /** As they lie in a frame: the next hop's, this node's. */
  readonly macs: Uint8Array
}
export const STEADY_SIZE = 128
export function decodeSteady(view: DataView, at: number): Steady {
  return {
    came: decodeNatKey(view, at),
    until: view.getBigUint64(at + 40, true),
    ifindex: view.getUint32(at + 48, true),
    packets: view.getUint32(at + 52, true),
    bytes: view.getUint32(at + 56, true),
    mtu: view.getUint16(at + 60, true),
    flags: view.getUint16(at + 62, true),
    source: decodeAddress(view, at + 64),
    destination: decodeAddress(view, at + 80),
    sourcePort: view.getUint16(at + 96, false),
    destinationPort: view.getUint16(at + 98, false),
    backend: view.getUint32(at + 100, true),
    macs: getBytes(view, at + 104, 12),
  }
}
export function encodeSteady(view: DataView, at: number, value: Steady): void {
  encodeNatKey(view, at, value.came)
  view.setBigUint64(at + 40, value.until, true)
  view.setUint32(at + 48, value.ifindex, true)
  view.setUint32(at + 52, value.packets, true)
  view.setUint32(at + 56, value.bytes, true)
  view.setUint16(at + 60, value.mtu, true)
  view.setUint16(at + 62, value.flags, true)
  encodeAddress(view, at + 64, value.source)
  encodeAddress(view, at + 80, value.destination)
  view.setUint16(at + 96, value.sourcePort, false)
  view.setUint16(at + 98, value.destinationPort, false)
  view.setUint32(at + 100, value.backend, true)
  putBytes(view, at + 104, value.macs, 12)
  putZeros(view, at + 116, 12)
}
export const steadyLayout: Layout<Steady> = {
  size: STEADY_SIZE,
  decode: decodeSteady,
  encode: encodeSteady,
}

/** `steady_size`. */
export const SteadySize = {
  /** Flows that a place has room for. */
  STEADY_WAYS: 8,
} as const
export type SteadySize = (typeof SteadySize)[keyof typeof SteadySize]

/** `hop_size`. */
export const HopSize = {
  /** Entries, a power of two. */
  HOPS: 512,
} as const
export type HopSize = (typeof HopSize)[keyof typeof HopSize]

/** `metric_kind`. What is counted. */
export const MetricKind = {
  /** Counted in the map `forwarded`. */
  METRIC_FORWARDED: 1,
  METRIC_DROPPED: 2,
  /** Ring buffer full, or over the budget of drop events (then with its reason). */
  METRIC_EVENTS_LOST: 3,
  /** Passed without an entry. */
  METRIC_CT_FULL: 4,
} as const
export type MetricKind = (typeof MetricKind)[keyof typeof MetricKind]

/** `struct metric_key`, 4 bytes. Metrics: what was counted, where and why → how much, per CPU. */
export interface MetricKey {
  /** `MetricKind`. */
  readonly kind: number
  /** `Hook`. */
  readonly hook: number
  /** `DropReason`. */
  readonly reason: number
}
export const METRIC_KEY_SIZE = 4
export function decodeMetricKey(view: DataView, at: number): MetricKey {
  return {
    kind: view.getUint8(at),
    hook: view.getUint8(at + 1),
    reason: view.getUint8(at + 2),
  }
}
export function encodeMetricKey(view: DataView, at: number, value: MetricKey): void {
  view.setUint8(at, value.kind)
  view.setUint8(at + 1, value.hook)
  view.setUint8(at + 2, value.reason)
  putZeros(view, at + 3, 1)
}
export const metricKeyLayout: Layout<MetricKey> = {
  size: METRIC_KEY_SIZE,
  decode: decodeMetricKey,
  encode: encodeMetricKey,
}

/** `struct metric_value`, 16 bytes. Of metrics, and of forwarded by `Hook`. */
export interface MetricValue {
  readonly packets: bigint
  readonly bytes: bigint
}
export const METRIC_VALUE_SIZE = 16
export function decodeMetricValue(view: DataView, at: number): MetricValue {
  return {
    packets: view.getBigUint64(at, true),
    bytes: view.getBigUint64(at + 8, true),
  }
}
export function encodeMetricValue(view: DataView, at: number, value: MetricValue): void {
  view.setBigUint64(at, value.packets, true)
  view.setBigUint64(at + 8, value.bytes, true)
}
export const metricValueLayout: Layout<MetricValue> = {
  size: METRIC_VALUE_SIZE,
  decode: decodeMetricValue,
  encode: encodeMetricValue,
}

/** `masquerade_flags`. Which packets of pods that leave the cluster bear an address of this node; or-ed in the load-time constant. */
export const MasqueradeFlags = {
  MASQUERADE_IPV4: 1,
  MASQUERADE_IPV6: 2,
  /** Those to other nodes' own addresses too. */
  MASQUERADE_NODES: 4,
  /** Those of protocols without ports too, by address alone; else they are dropped. */
  MASQUERADE_PROTOCOLS: 8,
  /** IPv6 to what nat64_prefixes holds goes out as IPv4. */
  MASQUERADE_NAT64: 16,
} as const
export type MasqueradeFlags = (typeof MasqueradeFlags)[keyof typeof MasqueradeFlags]

/** `struct range_key`, 20 bytes. native_ranges: longest prefix; what is in one knows the pods' addresses. nat64_prefixes: what is in one stands for the IPv4 address in its last 32 bits (RFC 6052 section 2.2). */
export interface RangeKey {
  /** 0–128, over the 16-byte address. */
  readonly prefixLength: number
  readonly address: Uint8Array
}
export const RANGE_KEY_SIZE = 20
export function decodeRangeKey(view: DataView, at: number): RangeKey {
  return {
    prefixLength: view.getUint32(at, true),
    address: decodeAddress(view, at + 4),
  }
}
export function encodeRangeKey(view: DataView, at: number, value: RangeKey): void {
  view.setUint32(at, value.prefixLength, true)
  encodeAddress(view, at + 4, value.address)
}
export const rangeKeyLayout: Layout<RangeKey> = {
  size: RANGE_KEY_SIZE,
  decode: decodeRangeKey,
  encode: encodeRangeKey,
}

/** `nic_flags`. Of the machine's network interfaces whose addresses pods have; or-ed in the load-time constant. */
export const NicFlags = {
  /** There are some. */
  NIC_PODS: 1,
  /** By which one a packet leaves is told by its source, whatever the kernel's routes say. */
  NIC_EGRESS: 2,
} as const
export type NicFlags = (typeof NicFlags)[keyof typeof NicFlags]

/** `struct nic_way`, 24 bytes. nic_ways: longest prefix of a source → the network interface that has it, which a cloud's network takes its packets from and from no other. One is also found by its index, in the last word of an address that begins with 0, one more than the `Family`, and 0; no host has those. */
export interface NicWay {
  readonly gateway: Uint8Array
  /** 0: the machine does not have it. */
  readonly ifindex: number
  readonly mtu: number
}
export const NIC_WAY_SIZE = 24
export function decodeNicWay(view: DataView, at: number): NicWay {
  return {
    gateway: decodeAddress(view, at),
    ifindex: view.getUint32(at + 16, true),
    mtu: view.getUint32(at + 20, true),
  }
}
export function encodeNicWay(view: DataView, at: number, value: NicWay): void {
  encodeAddress(view, at, value.gateway)
  view.setUint32(at + 16, value.ifindex, true)
  view.setUint32(at + 20, value.mtu, true)
}
export const nicWayLayout: Layout<NicWay> = {
  size: NIC_WAY_SIZE,
  decode: decodeNicWay,
  encode: encodeNicWay,
}

/** `struct egress_key`, 8 bytes. egress_addresses: which of this node's addresses pods' packets leave by a device with, numbered from 0. */
export interface EgressKey {
  readonly ifindex: number
  /** `Family`. */
  readonly family: number
  readonly index: number
}
export const EGRESS_KEY_SIZE = 8
export function decodeEgressKey(view: DataView, at: number): EgressKey {
  return {
    ifindex: view.getUint32(at, true),
    family: view.getUint16(at + 4, true),
    index: view.getUint16(at + 6, true),
  }
}
export function encodeEgressKey(view: DataView, at: number, value: EgressKey): void {
  view.setUint32(at, value.ifindex, true)
  view.setUint16(at + 4, value.family, true)
  view.setUint16(at + 6, value.index, true)
}
export const egressKeyLayout: Layout<EgressKey> = {
  size: EGRESS_KEY_SIZE,
  decode: decodeEgressKey,
  encode: encodeEgressKey,
}

/** `struct egress_address`, 20 bytes. */
export interface EgressAddress {
  readonly address: Uint8Array
  /** Of the device's in that family. */
  readonly count: number
}
export const EGRESS_ADDRESS_SIZE = 20
export function decodeEgressAddress(view: DataView, at: number): EgressAddress {
  return {
    address: decodeAddress(view, at),
    count: view.getUint32(at + 16, true),
  }
}
export function encodeEgressAddress(view: DataView, at: number, value: EgressAddress): void {
  encodeAddress(view, at, value.address)
  view.setUint32(at + 16, value.count, true)
}
export const egressAddressLayout: Layout<EgressAddress> = {
  size: EGRESS_ADDRESS_SIZE,
  decode: decodeEgressAddress,
  encode: encodeEgressAddress,
}

/** `egress_size`. */
export const EgressSize = {
  /** Of a device in a family. */
  EGRESS_ADDRESSES: 16,
} as const
export type EgressSize = (typeof EgressSize)[keyof typeof EgressSize]

/** `struct crowd_key`, 36 bytes. nat_crowds: translated flows that differ in their source ports alone; what they have of them is in struct nat_crowd. */
export interface CrowdKey {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** 0 of an echo. */
  readonly destinationPort: number
  readonly protocol: number
}
export const CROWD_KEY_SIZE = 36
export function decodeCrowdKey(view: DataView, at: number): CrowdKey {
  return {
    source: decodeAddress(view, at),
    destination: decodeAddress(view, at + 16),
    destinationPort: view.getUint16(at + 32, false),
    protocol: view.getUint8(at + 34),
  }
}
export function encodeCrowdKey(view: DataView, at: number, value: CrowdKey): void {
  encodeAddress(view, at, value.source)
  encodeAddress(view, at + 16, value.destination)
  view.setUint16(at + 32, value.destinationPort, false)
  view.setUint8(at + 34, value.protocol)
  putZeros(view, at + 35, 1)
}
export const crowdKeyLayout: Layout<CrowdKey> = {
  size: CROWD_KEY_SIZE,
  decode: decodeCrowdKey,
  encode: encodeCrowdKey,
}

/** `crowd_size`. */
export const CrowdSize = {
  /** Of those that flows are given. */
  CROWD_PORT_FIRST: 1024,
  /** Of a bit a port. */
  CROWD_WORDS: 1008,
  /** Of 64 words. */
  CROWD_GROUPS: 16,
  /** Ports of a group. */
  CROWD_GROUP: 4096,
  CROWDS: 1024,
} as const
export type CrowdSize = (typeof CrowdSize)[keyof typeof CrowdSize]

/** `struct share_key`, 52 bytes. crowd_shares: how many of a crowd's ports who opens the flows has. */
export interface ShareKey {
  readonly crowd: CrowdKey
  /** Source of the flows as they come. */
  readonly owner: Uint8Array
}
export const SHARE_KEY_SIZE = 52
export function decodeShareKey(view: DataView, at: number): ShareKey {
  return {
    crowd: decodeCrowdKey(view, at),
    owner: decodeAddress(view, at + 36),
  }
}
export function encodeShareKey(view: DataView, at: number, value: ShareKey): void {
  encodeCrowdKey(view, at, value.crowd)
  encodeAddress(view, at + 36, value.owner)
}
export const shareKeyLayout: Layout<ShareKey> = {
  size: SHARE_KEY_SIZE,
  decode: decodeShareKey,
  encode: encodeShareKey,
}

/** `struct share`, 8 bytes. */
export interface Share {
  readonly ports: number
  /** Those found so far by the expiry that runs. */
  readonly counting: number
}
export const SHARE_SIZE = 8
export function decodeShare(view: DataView, at: number): Share {
  return {
    ports: view.getUint32(at, true),
    counting: view.getUint32(at + 4, true),
  }
}
export function encodeShare(view: DataView, at: number, value: Share): void {
  view.setUint32(at, value.ports, true)
  view.setUint32(at + 4, value.counting, true)
}
export const shareLayout: Layout<Share> = {
  size: SHARE_SIZE,
  decode: decodeShare,
  encode: encodeShare,
}

/** `egress_path_flags`. What becomes of a packet that leaves the cluster and that a policy names. */
export const EgressPathFlags = {
  /** It is excepted: it leaves as if there were no policy. */
  EGRESS_KEPT: 1,
  /** No gateway is healthy. */
  EGRESS_NONE: 2,
  /** The pod's labels, which policies select by, are not known yet. */
  EGRESS_UNKNOWN: 4,
} as const
export type EgressPathFlags = (typeof EgressPathFlags)[keyof typeof EgressPathFlags]

/** `struct egress_path_key`, 36 bytes. egress_paths: longest prefix, over both. Packets that other nodes' pods send by this node have a policy in the place of the source: its number in the last word, the others zero. */
export interface EgressPathKey {
  /** 128–256. */
  readonly prefixLength: number
  readonly source: Uint8Array
  readonly destination: Uint8Array
}
export const EGRESS_PATH_KEY_SIZE = 36
export function decodeEgressPathKey(view: DataView, at: number): EgressPathKey {
  return {
    prefixLength: view.getUint32(at, true),
    source: decodeAddress(view, at + 4),
    destination: decodeAddress(view, at + 20),
  }
}
export function encodeEgressPathKey(view: DataView, at: number, value: EgressPathKey): void {
  view.setUint32(at, value.prefixLength, true)
  encodeAddress(view, at + 4, value.source)
  encodeAddress(view, at + 20, value.destination)
}
export const egressPathKeyLayout: Layout<EgressPathKey> = {
  size: EGRESS_PATH_KEY_SIZE,
  decode: decodeEgressPathKey,
  encode: encodeEgressPathKey,
}

/** `struct egress_path`, 28 bytes. */
export interface EgressPath {
  /** Of the gateway; zero when this node is it. */
  readonly tunnel: Uint8Array
  /** Its number, which the gateway is told. */
  readonly policy: number
  /** Of this node: where egress_addresses has what stands for the pods, EGRESS_DEVICES or more. */
  readonly device: number
  /** `EgressPathFlags`. */
  readonly flags: number
}
export const EGRESS_PATH_SIZE = 28
export function decodeEgressPath(view: DataView, at: number): EgressPath {
  return {
    tunnel: decodeAddress(view, at),
    policy: view.getUint32(at + 16, true),
    device: view.getUint32(at + 20, true),
    flags: view.getUint32(at + 24, true),
  }
}
export function encodeEgressPath(view: DataView, at: number, value: EgressPath): void {
  encodeAddress(view, at, value.tunnel)
  view.setUint32(at + 16, value.policy, true)
  view.setUint32(at + 20, value.device, true)
  view.setUint32(at + 24, value.flags, true)
}
export const egressPathLayout: Layout<EgressPath> = {
  size: EGRESS_PATH_SIZE,
  decode: decodeEgressPath,
  encode: encodeEgressPath,
}

/** `egress_device`. */
export const EgressDevice = {
  /** In egress_addresses these are no devices but sets of addresses, each of a policy. */
  EGRESS_DEVICES: 1073741824,
} as const
export type EgressDevice = (typeof EgressDevice)[keyof typeof EgressDevice]

/** `service_scope`. Who asks for a service. */
export const ServiceScope = {
  /** Pods and processes of this node. */
  SERVICE_INSIDE: 0,
  /** Whatever arrives from elsewhere. */
  SERVICE_OUTSIDE: 1,
  /** In packets only: this one asks for none. */
  SERVICE_NOBODY: 2,
} as const
export type ServiceScope = (typeof ServiceScope)[keyof typeof ServiceScope]

/** `service_flags`. */
export const ServiceFlags = {
  /** Without a backend nothing is answered; otherwise clients are refused. */
  SERVICE_SILENT: 1,
  /** Its address belongs to services alone. */
  SERVICE_EXCLUSIVE: 2,
  /** source_ranges tells who may use it. */
  SERVICE_RANGES: 4,
  /** A packet's flow chooses the place in its table: every node gives it the same backend. */
  SERVICE_BY_FLOW: 8,
  /** Of two backends by chance the one with fewer flows takes a new one. */
  SERVICE_LEAST: 32,
  /** Pods of other nodes that serve it answer the client themselves. */
  SERVICE_DSR: 16,
} as const
export type ServiceFlags = (typeof ServiceFlags)[keyof typeof ServiceFlags]

/** `struct service_key`, 20 bytes. Services: what clients speak to → who serves it. Port and protocol 0: the address belongs to services alone. */
export interface ServiceKey {
  readonly address: Uint8Array
  readonly port: number
  readonly protocol: number
  /** `ServiceScope`. */
  readonly scope: number
}
export const SERVICE_KEY_SIZE = 20
export function decodeServiceKey(view: DataView, at: number): ServiceKey {
  return {
    address: decodeAddress(view, at),
    port: view.getUint16(at + 16, false),
    protocol: view.getUint8(at + 18),
    scope: view.getUint8(at + 19),
  }
}
export function encodeServiceKey(view: DataView, at: number, value: ServiceKey): void {
  encodeAddress(view, at, value.address)
  view.setUint16(at + 16, value.port, false)
  view.setUint8(at + 18, value.protocol)
  view.setUint8(at + 19, value.scope)
}
export const serviceKeyLayout: Layout<ServiceKey> = {
  size: SERVICE_KEY_SIZE,
  decode: decodeServiceKey,
  encode: encodeServiceKey,
}

/** `struct service_value`, 32 bytes. */
export interface ServiceValue {
  /** Of its slots and affinities. */
  readonly id: number
  /** Slots 0 to count - 1 take new flows. */
  readonly count: number
  /** A client stays with its backend for so long after its last connection; 0: it need not. */
  readonly affinitySeconds: number
  /** `ServiceFlags`. */
  readonly flags: number
  /** Number of the first block of its Maglev table. */
  readonly table: number
  /** Places of that table; 0 when it has none. */
  readonly tableSize: number
  /** Of the backends, weights, size and seed that the table was made from. */
  readonly tableSignature: bigint
}
export const SERVICE_VALUE_SIZE = 32
export function decodeServiceValue(view: DataView, at: number): ServiceValue {
  return {
    id: view.getUint32(at, true),
    count: view.getUint32(at + 4, true),
    affinitySeconds: view.getUint32(at + 8, true),
    flags: view.getUint32(at + 12, true),
    table: view.getUint32(at + 16, true),
    tableSize: view.getUint32(at + 20, true),
    tableSignature: view.getBigUint64(at + 24, true),
  }
}
export function encodeServiceValue(view: DataView, at: number, value: ServiceValue): void {
  view.setUint32(at, value.id, true)
  view.setUint32(at + 4, value.count, true)
  view.setUint32(at + 8, value.affinitySeconds, true)
  view.setUint32(at + 12, value.flags, true)
  view.setUint32(at + 16, value.table, true)
  view.setUint32(at + 20, value.tableSize, true)
  view.setBigUint64(at + 24, value.tableSignature, true)
}
export const serviceValueLayout: Layout<ServiceValue> = {
  size: SERVICE_VALUE_SIZE,
  decode: decodeServiceValue,
  encode: encodeServiceValue,
}

/** `maglev_size`. Blocks of Maglev tables. A table has as many in a row as it needs, within one segment; its places hold indices of service_slots. Segments are made as they are needed. */
export const MaglevSize = {
  /** Places of a block. */
  MAGLEV_BLOCK: 512,
  /** Blocks of a segment, which is 1 MiB. */
  MAGLEV_SEGMENT_BLOCKS: 1024,
  MAGLEV_SEGMENTS: 4096,
} as const
export type MaglevSize = (typeof MaglevSize)[keyof typeof MaglevSize]

/** `struct source_range_key`, 24 bytes. source_ranges: longest prefix; a client that is in none of a service's may not use it. */
export interface SourceRangeKey {
  /** 32 to 160, over service and address. */
  readonly prefixLength: number
  readonly service: number
  readonly address: Uint8Array
}
export const SOURCE_RANGE_KEY_SIZE = 24
export function decodeSourceRangeKey(view: DataView, at: number): SourceRangeKey {
  return {
    prefixLength: view.getUint32(at, true),
    service: view.getUint32(at + 4, true),
    address: decodeAddress(view, at + 8),
  }
}
export function encodeSourceRangeKey(view: DataView, at: number, value: SourceRangeKey): void {
  view.setUint32(at, value.prefixLength, true)
  view.setUint32(at + 4, value.service, true)
  encodeAddress(view, at + 8, value.address)
}
export const sourceRangeKeyLayout: Layout<SourceRangeKey> = {
  size: SOURCE_RANGE_KEY_SIZE,
  decode: decodeSourceRangeKey,
  encode: encodeSourceRangeKey,
}

/** `struct slot_key`, 8 bytes. service_slots: the backends that take new flows of a service, without gaps. */
export interface SlotKey {
  readonly service: number
  readonly index: number
}
export const SLOT_KEY_SIZE = 8
export function decodeSlotKey(view: DataView, at: number): SlotKey {
  return {
    service: view.getUint32(at, true),
    index: view.getUint32(at + 4, true),
  }
}
export function encodeSlotKey(view: DataView, at: number, value: SlotKey): void {
  view.setUint32(at, value.service, true)
  view.setUint32(at + 4, value.index, true)
}
export const slotKeyLayout: Layout<SlotKey> = {
  size: SLOT_KEY_SIZE,
  decode: decodeSlotKey,
  encode: encodeSlotKey,
}

/** `struct backend`, 24 bytes. */
export interface Backend {
  readonly address: Uint8Array
  /** Of this backend in this service; never given again. */
  readonly id: number
  readonly port: number
}
export const BACKEND_SIZE = 24
export function decodeBackend(view: DataView, at: number): Backend {
  return {
    address: decodeAddress(view, at),
    id: view.getUint32(at + 16, true),
    port: view.getUint16(at + 20, false),
  }
}
export function encodeBackend(view: DataView, at: number, value: Backend): void {
  encodeAddress(view, at, value.address)
  view.setUint32(at + 16, value.id, true)
  view.setUint16(at + 20, value.port, false)
  putZeros(view, at + 22, 2)
}
export const backendLayout: Layout<Backend> = {
  size: BACKEND_SIZE,
  decode: decodeBackend,
  encode: encodeBackend,
}

/** `struct load_key`, 20 bytes. Loads: a backend whose flows are counted → how many there are by this node's account. */
export interface LoadKey {
  readonly address: Uint8Array
  readonly port: number
  readonly protocol: number
}
export const LOAD_KEY_SIZE = 20
export function decodeLoadKey(view: DataView, at: number): LoadKey {
  return {
    address: decodeAddress(view, at),
    port: view.getUint16(at + 16, false),
    protocol: view.getUint8(at + 18),
  }
}
export function encodeLoadKey(view: DataView, at: number, value: LoadKey): void {
  encodeAddress(view, at, value.address)
  view.setUint16(at + 16, value.port, false)
  view.setUint8(at + 18, value.protocol)
  putZeros(view, at + 19, 1)
}
export const loadKeyLayout: Layout<LoadKey> = {
  size: LOAD_KEY_SIZE,
  decode: decodeLoadKey,
  encode: encodeLoadKey,
}

/** `struct load`, 8 bytes. */
export interface Load {
  /** At the last expiry of conntrack, and given since. */
  readonly live: number
  /** In an expiry that is under way. */
  readonly counting: number
}
export const LOAD_SIZE = 8
export function decodeLoad(view: DataView, at: number): Load {
  return {
    live: view.getUint32(at, true),
    counting: view.getUint32(at + 4, true),
  }
}
export function encodeLoad(view: DataView, at: number, value: Load): void {
  view.setUint32(at, value.live, true)
  view.setUint32(at + 4, value.counting, true)
}
export const loadLayout: Layout<Load> = {
  size: LOAD_SIZE,
  decode: decodeLoad,
  encode: encodeLoad,
}

/** `struct service_ids`, 16 bytes. service_ids: how many ids have been given so far, those of what went included; of each kind, one by one from 1. */
export interface ServiceIds {
  readonly services: bigint
  readonly backends: bigint
}
export const SERVICE_IDS_SIZE = 16
export function decodeServiceIds(view: DataView, at: number): ServiceIds {
  return {
    services: view.getBigUint64(at, true),
    backends: view.getBigUint64(at + 8, true),
  }
}
export function encodeServiceIds(view: DataView, at: number, value: ServiceIds): void {
  view.setBigUint64(at, value.services, true)
  view.setBigUint64(at + 8, value.backends, true)
}
export const serviceIdsLayout: Layout<ServiceIds> = {
  size: SERVICE_IDS_SIZE,
  decode: decodeServiceIds,
  encode: encodeServiceIds,
}

/** `struct direct_key`, 20 bytes. direct_backends: a pod of this node that serves a service with SERVICE_DSR → at which port, and its id. */
export interface DirectKey {
  readonly service: number
  readonly address: Uint8Array
}
export const DIRECT_KEY_SIZE = 20
export function decodeDirectKey(view: DataView, at: number): DirectKey {
  return {
    service: view.getUint32(at, true),
    address: decodeAddress(view, at + 4),
  }
}
export function encodeDirectKey(view: DataView, at: number, value: DirectKey): void {
  view.setUint32(at, value.service, true)
  encodeAddress(view, at + 4, value.address)
}
export const directKeyLayout: Layout<DirectKey> = {
  size: DIRECT_KEY_SIZE,
  decode: decodeDirectKey,
  encode: encodeDirectKey,
}

/** `dsr_dispatch`. How a node sends a flow on to a pod of another node that answers the client itself, which has to know what the client speaks to. */
export const DsrDispatch = {
  DSR_OFF: 0,
  /** translated; the address asked for is an option of a connection's first packet, and of each of a protocol without. */
  DSR_OPTION: 1,
  /** As it came, in a packet to the pod (RFC 2003, RFC 2473). */
  DSR_IPIP: 2,
  /** The same in UDP (RFC 8926). */
  DSR_GENEVE: 3,
} as const
export type DsrDispatch = (typeof DsrDispatch)[keyof typeof DsrDispatch]

/** `struct socket_peer_key`, 32 bytes. socket_peers: where a socket really sends to → where its program believes it does. */
export interface SocketPeerKey {
  readonly cookie: bigint
  readonly address: Uint8Array
  readonly port: number
}
export const SOCKET_PEER_KEY_SIZE = 32
export function decodeSocketPeerKey(view: DataView, at: number): SocketPeerKey {
  return {
    cookie: view.getBigUint64(at, true),
    address: decodeAddress(view, at + 8),
    port: view.getUint16(at + 24, false),
  }
}
export function encodeSocketPeerKey(view: DataView, at: number, value: SocketPeerKey): void {
  view.setBigUint64(at, value.cookie, true)
  encodeAddress(view, at + 8, value.address)
  view.setUint16(at + 24, value.port, false)
  putZeros(view, at + 26, 6)
}
export const socketPeerKeyLayout: Layout<SocketPeerKey> = {
  size: SOCKET_PEER_KEY_SIZE,
  decode: decodeSocketPeerKey,
  encode: encodeSocketPeerKey,
}

/** `struct socket_peer`, 20 bytes. */
export interface SocketPeer {
  readonly address: Uint8Array
  readonly port: number
}
export const SOCKET_PEER_SIZE = 20
export function decodeSocketPeer(view: DataView, at: number): SocketPeer {
  return {
    address: decodeAddress(view, at),
    port: view.getUint16(at + 16, false),
  }
}
export function encodeSocketPeer(view: DataView, at: number, value: SocketPeer): void {
  encodeAddress(view, at, value.address)
  view.setUint16(at + 16, value.port, false)
  putZeros(view, at + 18, 2)
}
export const socketPeerLayout: Layout<SocketPeer> = {
  size: SOCKET_PEER_SIZE,
  decode: decodeSocketPeer,
  encode: encodeSocketPeer,
}

/** `struct affinity_key`, 24 bytes. Affinities: a client of a service → the backend it was given. */
export interface AffinityKey {
  /** Of sockets: the cookie of their network namespace in the last two words. */
  readonly client: Uint8Array
  readonly service: number
}
export const AFFINITY_KEY_SIZE = 24
export function decodeAffinityKey(view: DataView, at: number): AffinityKey {
  return {
    client: decodeAddress(view, at),
    service: view.getUint32(at + 16, true),
  }
}
export function encodeAffinityKey(view: DataView, at: number, value: AffinityKey): void {
  encodeAddress(view, at, value.client)
  view.setUint32(at + 16, value.service, true)
  putZeros(view, at + 20, 4)
}
export const affinityKeyLayout: Layout<AffinityKey> = {
  size: AFFINITY_KEY_SIZE,
  decode: decodeAffinityKey,
  encode: encodeAffinityKey,
}

/** `struct affinity_value`, 16 bytes. */
export interface AffinityValue {
  /** bpf_ktime_get_coarse_ns of the last connection. */
  readonly used: bigint
  readonly backend: number
}
export const AFFINITY_VALUE_SIZE = 16
export function decodeAffinityValue(view: DataView, at: number): AffinityValue {
  return {
    used: view.getBigUint64(at, true),
    backend: view.getUint32(at + 8, true),
  }
}
export function encodeAffinityValue(view: DataView, at: number, value: AffinityValue): void {
  view.setBigUint64(at, value.used, true)
  view.setUint32(at + 8, value.backend, true)
  putZeros(view, at + 12, 4)
}
export const affinityValueLayout: Layout<AffinityValue> = {
  size: AFFINITY_VALUE_SIZE,
  decode: decodeAffinityValue,
  encode: encodeAffinityValue,
}
