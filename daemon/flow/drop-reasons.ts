/**
 * Why packets are dropped, for people: each value of `enum drop_reason` (bpf/lib/shared.h) with its short name, a
 * sentence and what to do. docs/reference/drop-reasons.md is printed from here.
 */

export interface DropReason {
  /** Value of the enum; append-only, a retired one keeps its entry. */
  readonly value: number
  /** The enumerator in lower case without `DROP_`; used in metrics, filters and records. */
  readonly name: string
  /** What is wrong with the packet. */
  readonly text: string
  readonly whatToDo: string
}

export const dropReasons: readonly DropReason[] = [
  {
    value: 1,
    name: 'malformed',
    text: 'The packet is shorter than its own headers say, or its headers contradict each other.',
    whatToDo:
      'Look at the sender: broken offloads and raw sockets make such packets. `ethtool -K DEVICE tx off` on the sender tells whether its offloads are to blame.',
  },
  {
    value: 2,
    name: 'unsupported_l3',
    text: 'The packet is neither IPv4, IPv6 nor ARP.',
    whatToDo: 'Nothing, for link-layer chatter such as LLDP. Other protocols cannot cross the pod network.',
  },
  {
    value: 3,
    name: 'vlan',
    text: 'The packet carries a VLAN tag on a device that is expected to carry none.',
    whatToDo: 'Take the tag off in the pod: no VLAN of a pod leads anywhere.',
  },
  {
    value: 4,
    name: 'spoofed_address',
    text: "The source address is not one of the pod's own.",
    whatToDo:
      'A pod may only send from the addresses it was given. Masquerade inside the pod what it forwards for others, such as a VPN or nested containers.',
  },
  {
    value: 5,
    name: 'spoofed_mac',
    text: "The source MAC address is not that of the pod's interface.",
    whatToDo: 'Keep the MAC the interface was given; ask for another by the CNI capability `mac` when the pod starts.',
  },
  {
    value: 6,
    name: 'no_endpoint',
    text: 'The packet is for a pod that is not on this node, or not any more.',
    whatToDo:
      'Usual for a moment after a pod has ended. If it lasts, the sending node has an old view of the cluster: compare `causeway nodes` there and `causeway endpoints` here.',
  },
  {
    value: 7,
    name: 'no_route',
    text: 'The node has no route to the destination.',
    whatToDo:
      "Ask `ip route get DESTINATION` on the node; for a pod of another node look at `causeway nodes`. An address of the node's own range that no pod has ends here, as after a pod was deleted.",
  },
  {
    value: 8,
    name: 'tunnel',
    text: "The overlay's tunnel metadata could not be set or read.",
    whatToDo:
      'Look whether the device cw-vxlan is there and up (`ip -d link show cw-vxlan`); the daemon makes it anew when it is gone, and `causeway status` says why it cannot.',
  },
  {
    value: 9,
    name: 'ct_full',
    text: 'The connection tracking table is full and `datapath.conntrack.whenFull` is `drop`.',
    whatToDo: 'Raise `datapath.conntrack.maxEntries`, shorten its time-outs, or choose `whenFull: forward`.',
  },
  {
    value: 10,
    name: 'ct_invalid',
    text: 'The packet cannot belong to the state its connection is in.',
    whatToDo:
      'Usual in small numbers after resets. If connections hang, look for a path on which only one direction passes this node.',
  },
  {
    value: 11,
    name: 'redirect',
    text: 'Retired, never given: no program learns that the device it sends a packet to has gone or is down. Such a packet is swallowed by the kernel and counted as forwarded.',
    whatToDo:
      'For traffic that vanishes without a drop, compare the devices of `causeway endpoints` with `ip link`, and look whether cw-vxlan is there and up.',
  },
  {
    value: 12,
    name: 'multicast',
    text: 'Multicast is not forwarded between pods.',
    whatToDo: 'Nothing, unless pods need it: then let them use unicast.',
  },
  {
    value: 13,
    name: 'forged_neighbour',
    text: 'The pod announces by ARP or neighbour discovery an address that is not its own.',
    whatToDo: 'Look for address managers (VRRP, keepalived) or duplicate address settings in the pod.',
  },
  {
    value: 14,
    name: 'loop',
    text: 'The packet came through the overlay although its source is a pod of this node.',
    whatToDo: 'Two nodes claim the same pod range: compare the ranges in `causeway nodes`.',
  },
  {
    value: 15,
    name: 'no_backend',
    text: 'The service has no endpoint that is ready, nor one that still serves while it ends.',
    whatToDo:
      'Look at the service in `causeway tables frontends`, and at its EndpointSlices: are pods selected, and are they ready? With a traffic policy of Local, those of this node count only.',
  },
  {
    value: 16,
    name: 'service_port',
    text: "The address is a service's, and no service has this port and protocol there.",
    whatToDo:
      'Compare the port and protocol with those of the service in `causeway services`: a client may mean the port of the pods, or the service may lack the protocol.',
  },
  {
    value: 17,
    name: 'nat_full',
    text: 'There is no room left to remember how the packets of one more flow are translated.',
    whatToDo:
      'Raise datapath.conntrack.maxEntries, by which this grows too, or find who opens so many flows in `causeway flows`.',
  },
  {
    value: 18,
    name: 'nat_ports',
    text: 'No source port was found with which the translated flow differs from all others to the same destination.',
    whatToDo:
      'Many flows go from one address to one destination; `causeway nat` shows whose leave the cluster, and how many ports are left. Spread them over more backends or nodes, or give pods that leave the cluster more addresses (`masquerade.addresses`).',
  },
  {
    value: 19,
    name: 'fragment_early',
    text: 'A fragment of a datagram to a service, or out of the cluster, came before the first one, which alone tells the port.',
    whatToDo:
      'Something on the way reorders fragments. Keep datagrams below the MTU of the path, as senders that discover it do.',
  },
  {
    value: 20,
    name: 'too_big',
    text: "A packet of a service's flow with a client elsewhere, or of a pod's flow that leaves the cluster, is longer than the way on takes, and cannot be fragmented. Its sender was told the length that fits.",
    whatToDo:
      'A sender that discovers the MTU of its path loses one packet; if there are more, something on its way drops ICMP. Uplinks that take larger packets than clients send leave room for the overlay and for what wraps flows by dsr.',
  },
  {
    value: 21,
    name: 'source_range',
    text: "The load balancer's address is not for this client: it is in none of the service's loadBalancerSourceRanges.",
    whatToDo:
      'Compare the source with spec.loadBalancerSourceRanges of the service. What came through a proxy bears the proxy’s address.',
  },
  {
    value: 22,
    name: 'nat_protocol',
    text: 'A fragment of an SCTP packet would have to get other ports, which its checksum over the whole packet does not allow; or a protocol without ports is not let out of the cluster.',
    whatToDo:
      'SCTP cuts its messages itself: let the endpoints discover the MTU of their path. Or give the service the port of its pods. GRE, ESP and their like leave the cluster with `masquerade.otherProtocols: translate`.',
  },
  {
    value: 23,
    name: 'dsr',
    text: 'Another node has sent a packet on for a service to a pod of this node, which knows nothing of that service there.',
    whatToDo:
      'Compare `causeway services` on both nodes: one of them has not heard of a change of the service, or not of the other node.',
  },
  {
    value: 24,
    name: 'no_gateway',
    text: 'An egress policy sends the packet by a gateway, and none is healthy; or this node was taken for the gateway, and knows nothing of the policy or has no address for it.',
    whatToDo:
      'Look at the gateways: `causeway egress` shows the policies, their gateways and why they are not healthy. On a gateway `causeway status` names addresses that are on none of its devices.',
  },
  {
    value: 25,
    name: 'gateway_moved',
    text: 'A flow went by another gateway before, and now this node is the gateway. What follows of it begins anew, with an address of this node.',
    whatToDo: 'Nothing: it is one packet of each open flow when a gateway fails or comes back.',
  },
  {
    value: 26,
    name: 'labels_unknown',
    text: 'A new pod sends out of the cluster, and its labels, by which egress policies select pods, are not known yet.',
    whatToDo:
      'Usual for a moment after a pod starts. If it lasts, the cluster source does not tell of the pod: compare `causeway tables pods` with what the API server has.',
  },
  {
    value: 27,
    name: 'nat64_inside',
    text: 'A packet to a prefix of `masquerade.nat64` stands for an IPv4 address that is not outside the cluster: of a pod, a node or a service, or of no host at all. Its sender was told that this is prohibited.',
    whatToDo:
      'Reach pods, nodes and services by their IPv6 addresses: DNS64 must leave names of the cluster alone. NAT64 leads only where masquerade would.',
  },
  {
    value: 28,
    name: 'nat64_form',
    text: 'A packet of a flow by NAT64 is a fragment, has extension headers or IPv4 options, is a UDP datagram without checksum that was put together with others, or is an ICMP message that the other family does not have.',
    whatToDo:
      'Keep datagrams below the MTU of the path, as senders that discover it do: NAT64 translates no fragments.',
  },
  {
    value: 29,
    name: 'hops',
    text: 'A packet to a prefix of `masquerade.nat64` was on its last hop. Its sender was told so.',
    whatToDo: 'Nothing if it was a traceroute; else look for a loop, or raise the hop limit of the sender.',
  },
  {
    value: 30,
    name: 'change_over',
    text: 'The first packet of a flow that needs a translation came while maps of another size or layout took the place of those in use, which takes milliseconds. Flows that were open go on.',
    whatToDo: 'Nothing: the sender repeats it, TCP after a second.',
  },
  {
    value: 31,
    name: 'no_interface',
    text: "The packet's source is an address of a network interface of the machine whose device is not there or not usable. The cloud's network takes the address from no other interface.",
    whatToDo:
      'Look at `causeway status` for the interface and why it is not usable. One that was detached by hand takes its pods with it: delete them.',
  },
]

/** The reason of a value; one this version does not know is named by its number. */
export function dropReason(value: number): DropReason {
  const known = dropReasons.find(reason => reason.value === value)
  if (known) return known
  const text = 'A reason that this version of the daemon does not know.'
  return { value, name: `reason_${value}`, text, whatToDo: 'Look whether daemon and eBPF programs are of one version.' }
}

/** The reference page as Markdown. */
export function dropReasonsPage(): string {
  const sections = dropReasons.flatMap(({ value, name, text, whatToDo }) => [
    `## ${name}`,
    '',
    `Value ${value}. ${text}`,
    '',
    `What to do: ${whatToDo}`,
    '',
  ])
  const intro =
    'Printed from the code. `causeway flows --verdict dropped` shows the last drops, with `-f` those to come.'
  return ['# Drop reasons', '', intro, '', ...sections].join('\n')
}
