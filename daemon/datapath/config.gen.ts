/** Load-time constants of the programs. Generated from bpf/lib/config.h by `npm run gen`; not to be edited. */
/** Load-time constants of the programs, by their names in C. Those left out keep what bpf/lib/config.h says. */
export interface DatapathConfig {
  /** The VXLAN device in collect-metadata mode; 0 when there is no overlay. */
  readonly overlay_ifindex: number
  /** Bytes of an IP packet that fit through the overlay; what is bigger goes to the host's stack, which answers. */
  readonly overlay_mtu: number
  /** UDP port of what the overlay device sends and gets; 0 when there is none. */
  readonly overlay_port: number
  /** VXLAN network identifier of all packets between nodes; others are dropped on arrival. */
  readonly overlay_vni: number
  /** How flows are sent on to pods of other nodes that answer clients themselves: `DsrDispatch`; what arrives is taken in each way. */
  readonly dsr_dispatch: number
  /** UDP port of those in Geneve, the same on all nodes. */
  readonly dsr_port: number
  /** Sets of flows whose way is remembered in front of the stack, per CPU; a power of two. */
  readonly steady_sets: number
  /** Cookie of the namespace that the node's own processes are in. */
  readonly host_netns: bigint
  /** Source ports from here to there, both included, are not given to flows that are sent on in a client's stead: sockets of the node take theirs here, and node ports lie here. */
  readonly reserved_ports_first: number
  readonly reserved_ports_last: number
  /** Which packets of pods that leave the cluster bear an address of this node: `MasqueradeFlags`, or-ed. */
  readonly masquerade_flags: number
  /** 1: policies may send pods' packets that leave the cluster by gateways. */
  readonly egress_gateway: number
  /** What there is of network interfaces whose addresses pods have: `NicFlags`, or-ed. */
  readonly nic_flags: number
  /** 1: the node may have pods that another CNI attached (ENDPOINT_FORMER). */
  readonly former_pods: number
  /** TCP: until the handshake is complete. */
  readonly ct_tcp_opening_ns: bigint
  /** TCP: idle time of a complete connection. */
  readonly ct_tcp_established_ns: bigint
  /** TCP: idle time after a FIN from one side. */
  readonly ct_tcp_closing_ns: bigint
  /** TCP: after a FIN from both sides, or a RST. */
  readonly ct_tcp_closed_ns: bigint
  /** UDP and SCTP: nothing came back yet. */
  readonly ct_udp_opening_ns: bigint
  /** UDP and SCTP: both sides have spoken. */
  readonly ct_udp_ns: bigint
  /** ICMP echo and its like. */
  readonly ct_icmp_ns: bigint
  /** Every other protocol. */
  readonly ct_other_ns: bigint
  /** 1: a packet whose flow finds no room in conntrack is dropped; 0: it passes unrecorded and is counted. */
  readonly ct_full_drops: number
  /** Which moments of a flow are reported: `FlowMoment`, or-ed. */
  readonly flow_events: number
  /** Drop events a second and CPU; those beyond are only counted. */
  readonly drop_events_per_second: number
  /** Drop events that may come at once on one CPU. */
  readonly drop_events_burst: number
  /** Messages a second and CPU that nobody serves, as the host's stack limits its own (ip-sysctl, icmp_msgs_per_sec). */
  readonly answers_per_second: number
  /** Those that may go at once on one CPU. */
  readonly answers_burst: number
  /** A flow event wakes the reader each time so many more bytes wait, otherwise it looks by a timer; 0 wakes it always. */
  readonly event_batch_bytes: number
}
