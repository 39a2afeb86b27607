/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Structures shared with the control plane; their TypeScript counterparts are generated from BTF (bpf/gen). Fixed
 * widths, named padding, network order marked by __be16 and __be32. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC
 * 4291 section 2.5.5.2), so that one code path serves both families.
 */
#pragma once
#include <linux/types.h>

struct address {
	__be32 words[4];
};

#include "shared-egress.h"
#include "shared-service.h"

/* What tells flows apart, in the direction a packet travels. */
struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port; /* ICMP echo: the identifier in both; protocols without ports: 0 */
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

/* Where a map has one entry for each. */
enum family {
	FAMILY_IPV4 = 0,
	FAMILY_IPV6 = 1,
	FAMILIES = 2,
};

/* Kinds of endpoints. */
enum endpoint_flags {
	ENDPOINT_HOST = 1,   /* an address of this node: the packet goes to the host's stack */
	ENDPOINT_FORMER = 2, /* besides: not of the node itself, but of a pod that another CNI attached to its stack */
};

/* endpoints: an address of a local pod, or of the node itself → where it lives. */
struct endpoint_value {
	__u32 ifindex; /* host side of the pod's pair; 0 for the host */
	__u32 id;      /* endpoint id shown in flow records; 0 for the host */
	__u32 flags;   /* enum endpoint_flags */
	__u8 mac[6];   /* of the pod's own interface */
	__u8 host_mac[6];
};

/* Ways to another node. */
enum ipcache_flags {
	IPCACHE_OVERLAY = 1, /* reached through the overlay, at tunnel */
	IPCACHE_NODE = 2,    /* an address of the node itself */
	IPCACHE_CLOUD =
	    4, /* its network knows the addresses of this machine's network interfaces: from those natively */
};

/* ipcache: longest prefix → the node it lives on and how to reach it. */
struct ipcache_key {
	__u32 prefix_length; /* 0–128, over the 16-byte address */
	struct address address;
};

struct ipcache_value {
	struct address tunnel;
	__u32 flags; /* enum ipcache_flags */
	__u32 node;  /* node id shown in flow records */
};

/* conntrack: one entry for both directions; a is the smaller (address, port) by memcmp. */
struct ct_key {
	struct address a;
	struct address b;
	__be16 port_a; /* ICMP echo: the identifier in both */
	__be16 port_b;
	__u8 protocol;
	__u8 pad[3];
};

/* What is known of a flow. */
enum ct_flags {
	CT_ORIGIN_A = 1, /* the flow was opened by a */
	CT_REPLIED = 2,  /* a packet came back */
	CT_FIN_A = 4,    /* FIN seen from a */
	CT_FIN_B = 8,    /* FIN seen from b */
	CT_RST = 16,
	CT_VIA_STACK = 32,   /* entered a pod through the host's stack: replies go back through it */
	CT_ESTABLISHED = 64, /* TCP: handshake complete; others: replied */
	CT_PICKED_UP = 128,  /* TCP: first seen in mid-stream, so the opener is a guess */
	CT_TRANSLATED = 256, /* translations holds what its packets come as; the entry is of what they go on as */
	CT_ONE_WAY = 512,    /* its backend answers the client past this node */
	CT_DIRECT = 1024, /* all but the first of its opener's packets come as they go on, from the node that chose */
	CT_WAITS = 2048,  /* TCP: the side that did not open closed first, and remembers the connection (TIME-WAIT) */
};

struct ct_value {
	__u64 expires; /* bpf_ktime_get_coarse_ns at which the entry is void */
	__u64 created;
	__u64 packets_a; /* sent by a; approximate under contention */
	__u64 packets_b;
	__u64 bytes_a;
	__u64 bytes_b;
	__u32 flags; /* enum ct_flags */
	__u32 end;   /* with CT_WAITS: the sequence number behind all that the opener has sent */
};

/*
 * translations: a packet as it comes → as it goes on. Each translated flow has two entries, one for each direction;
 * both are void without a translated flow in conntrack.
 */
struct nat_key {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

enum nat_flags {
	NAT_REPLY = 1,         /* of the packets that go back to who opened the flow */
	NAT_DSR = 2,           /* to a backend of another node, which answers the client past this one */
	NAT_DIRECT = 4,        /* from the node that chose the backend, as they go on: see CT_DIRECT */
	NAT_EGRESS = 8,        /* of a pod's flow that leaves the cluster with one of this node's addresses */
	NAT_OTHER_FAMILY = 16, /* packets go on in the other family, ICMP as that family's own */
};

struct nat_value {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 flags;   /* enum nat_flags */
	__u64 created; /* bpf_ktime_get_coarse_ns */
	__u32 backend; /* id of a service's backend; 0 when it was no service */
	__u32 ifindex; /* with NAT_REPLY: the network interface that the flow came in by; 0 where it does not matter */
};

/* fragments: first fragment → ports for those that follow (RFC 791, RFC 8200 section 4.5). */
struct frag_key {
	struct address source;
	struct address destination;
	__be32 id;
	__u8 protocol;
	__u8 pad[3];
};

struct frag_value {
	__be16 source_port;
	__be16 destination_port;
};

/* Where in the datapath an event was seen. Append-only. */
enum hook {
	HOOK_POD_OUT = 1,
	HOOK_POD_IN = 2,
	HOOK_UPLINK_IN = 3,
	HOOK_UPLINK_OUT = 4,
	HOOK_OVERLAY_IN = 5,
	HOOK_OVERLAY_OUT = 6,
	HOOK_EXPIRY = 7, /* not a hook: the program that expires conntrack */
	HOOK_SOCKET = 8, /* a socket's connect or sendmsg */
	HOOK_UPLINK_XDP = 9,
	HOOK_MAX = 10,
};

/* What an event tells. */
enum event_kind {
	EVENT_DROP = 1,
	EVENT_FLOW = 2, /* a moment of a flow, told by ct_flags and moment */
};

/* Moments of a flow that are reported; or-ed in the load-time constant flow_events. */
enum flow_moment {
	FLOW_FIRST = 1, /* its first packet */
	FLOW_REPLY = 2, /* the first packet back */
	FLOW_END = 4,   /* FIN from both sides, RST, or expiry without either */
};

/* Append-only; a retired reason keeps its number. The texts for people are in daemon/flow/drop-reasons.ts. */
enum drop_reason {
	DROP_NONE = 0,
	DROP_MALFORMED = 1,         /* shorter than its own headers say */
	DROP_UNSUPPORTED_L3 = 2,    /* neither IPv4, IPv6 nor ARP */
	DROP_VLAN = 3,              /* VLAN tag on a device that carries none */
	DROP_SPOOFED_ADDRESS = 4,   /* source address is not the pod's */
	DROP_SPOOFED_MAC = 5,       /* source MAC is not the pod's */
	DROP_NO_ENDPOINT = 6,       /* overlay packet for a pod that is not here */
	DROP_NO_ROUTE = 7,          /* the node has no route to the destination */
	DROP_TUNNEL = 8,            /* tunnel metadata could not be set or read */
	DROP_CT_FULL = 9,           /* conntrack full and strict by configuration */
	DROP_CT_INVALID = 10,       /* packet cannot belong to any state of its flow */
	DROP_REDIRECT = 11,         /* retired: no program learns that a redirect failed */
	DROP_MULTICAST = 12,        /* multicast without the multicast plugin */
	DROP_FORGED_NEIGHBOUR = 13, /* ARP or neighbour advertisement for an address that is not the pod's */
	DROP_LOOP = 14,             /* overlay packet whose source is a local pod */
	DROP_NO_BACKEND = 15,       /* service that nobody serves */
	DROP_SERVICE_PORT = 16,     /* a service's address at a port that no service has */
	DROP_NAT_FULL = 17,         /* no room for a translation */
	DROP_NAT_PORTS = 18,        /* no source port is free for the destination */
	DROP_FRAGMENT_EARLY = 19,   /* fragment to a service that came before the first of its datagram */
	DROP_TOO_BIG = 20,          /* longer than the way to a service's backend or client takes */
	DROP_SOURCE_RANGE = 21,     /* client that the load balancer's source ranges leave out */
	DROP_NAT_PROTOCOL = 22, /* ports would have to change, which it has not, or which its checksum does not allow */
	DROP_DSR = 23,          /* sent on by another node for a service, which this one cannot deliver */
	DROP_NO_GATEWAY =
	    24, /* a policy sends it by a gateway, and none is healthy or the gateway knows nothing of it */
	DROP_GATEWAY_MOVED = 25,  /* its flow went by another gateway before, and begins anew */
	DROP_LABELS_UNKNOWN = 26, /* of a new pod: whether a policy selects it is not known yet */
	DROP_NAT64_INSIDE = 27,   /* by NAT64 to an IPv4 address that is no host's outside */
	DROP_NAT64_FORM = 28,     /* what NAT64 does not translate: a fragment, an option, a message of ICMP */
	DROP_HOPS = 29,           /* on its last hop, and the host's stack knows nothing of where it goes */
	DROP_CHANGE_OVER = 30,    /* would be a new translation, while maps take the place of others */
	DROP_NO_INTERFACE = 31,   /* its source is of a network interface that the machine does not have */
};

/* events: what the ring buffer carries. */
struct event {
	__u64 time_ns; /* CLOCK_MONOTONIC (bpf_ktime_get_ns) */
	struct address source;
	struct address destination;
	__be16 source_port;      /* ICMP: type */
	__be16 destination_port; /* ICMP: code */
	__u8 protocol;
	__u8 tcp_flags;
	__u8 kind;       /* enum event_kind */
	__u8 hook;       /* enum hook */
	__u8 reason;     /* enum drop_reason */
	__u8 reply;      /* 1: travels against the direction the flow was opened in */
	__u16 ethertype; /* host order; what was seen when the packet is no IP */
	__u32 rule;      /* id of the rule that caused it; 0 for none, a reason that an option caused names it */
	__u32 ifindex;
	__u32 length; /* bytes on the device, L2 included */
	__u32 ct_flags;
	__u32 moment; /* enum flow_moment; 0 for drops */
	/* Of the flow so far, by the direction it was opened in; 0 for drops. */
	__u64 packets;
	__u64 bytes;
	__u64 reply_packets;
	__u64 reply_bytes;
};

/* What has a budget. */
enum budget_kind {
	BUDGET_DROP_EVENTS = 0,
	BUDGET_ANSWERS = 1, /* that nobody serves */
	BUDGETS = 2,
};

/* Per CPU: how many may still be sent. */
struct event_budget {
	__u64 refilled_ns;
	__u64 tokens;
};

/* Context of the program ct_expire; the kernel writes it back to the caller's memory. */
struct ct_expiry {
	__u64 live;
	__u64 expired;
	__u64 translations; /* entries of that map that are in use */
	__u64 loads;        /* 1: flows of backends in that map are to be counted */
	__u64 crowds;       /* entries of nat_crowds */
};

/* hops: the kernel's answer to where a packet between two addresses goes on, for a moment; per CPU. */
struct hop {
	struct address source;
	struct address destination;
	__u64 until;   /* bpf_ktime_get_coarse_ns; 0: nothing is known */
	__u32 ifindex; /* where it comes in and goes out */
	__u8 macs[12]; /* as they lie in a frame: the next hop's, this node's */
	__u16 mtu;
	__u8 pad[6];
};

/*
 * steady: what packets of a flow that turns around in front of the stack go on as and where to, for a moment. What was
 * counted of them is not yet in conntrack. What tells whether a packet is of the flow lies in the first 64 bytes.
 */
struct steady {
	struct nat_key came;
	__u64 until;   /* bpf_ktime_get_coarse_ns; 0: nothing is known */
	__u32 ifindex; /* where it comes in and goes out */
	__u32 packets;
	__u32 bytes; /* of so short a time that a flow would have to send 170 Gbit/s to exceed it */
	__u16 mtu;
	__u16 flags;           /* enum nat_flags */
	struct address source; /* of those that are wrapped this node's */
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 backend; /* id of a service's backend; 0 when it was no service */
	__u8 macs[12]; /* as they lie in a frame: the next hop's, this node's */
	__u8 pad[12];
};

enum steady_size {
	STEADY_WAYS = 8, /* flows that a place has room for */
};

enum hop_size {
	HOPS = 512, /* entries, a power of two */
};

/* What is counted. */
enum metric_kind {
	METRIC_FORWARDED = 1, /* counted in the map `forwarded` */
	METRIC_DROPPED = 2,
	METRIC_EVENTS_LOST = 3, /* ring buffer full, or over the budget of drop events (then with its reason) */
	METRIC_CT_FULL = 4,     /* passed without an entry */
};

/* metrics: what was counted, where and why → how much, per CPU. */
struct metric_key {
	__u8 kind;   /* enum metric_kind */
	__u8 hook;   /* enum hook */
	__u8 reason; /* enum drop_reason */
	__u8 pad;
};

/* Of metrics, and of forwarded by enum hook. */
struct metric_value {
	__u64 packets;
	__u64 bytes;
};
