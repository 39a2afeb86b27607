/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Load-time constants. The loader writes them into .rodata by name before it loads an object; the verifier then knows
 * their values and removes the branches they rule out. Every object carries all of them. Durations are nanoseconds.
 */
#pragma once
#include <linux/types.h>
#include "shared.h"

/* Every pod's gateway, 169.254.1.1 and fe80::1: no address of a pool is spent on it. Host order. */
enum {
	GATEWAY4 = 0xa9fe0101,
	GATEWAY6_LAST = 1,
};

#define SECOND 1000000000ULL

/* The VXLAN device in collect-metadata mode; 0 when there is no overlay. */
const volatile __u32 overlay_ifindex = 0;
/* Bytes of an IP packet that fit through the overlay; what is bigger goes to the host's stack, which answers. */
const volatile __u32 overlay_mtu = 1450;
/* UDP port of what the overlay device sends and gets; 0 when there is none. */
const volatile __u16 overlay_port = 0;
/* VXLAN network identifier of all packets between nodes; others are dropped on arrival. */
const volatile __u32 overlay_vni = 202;

/* How flows are sent on to pods of other nodes that answer clients themselves: enum dsr_dispatch; what arrives is taken
 * in each way. */
const volatile __u8 dsr_dispatch = DSR_OFF;
/* UDP port of those in Geneve, the same on all nodes. */
const volatile __u16 dsr_port = 6081;

/* Sets of flows whose way is remembered in front of the stack, per CPU; a power of two. */
const volatile __u32 steady_sets = 256;

/* Cookie of the namespace that the node's own processes are in. */
const volatile __u64 host_netns = 0;

/*
 * Source ports from here to there, both included, are not given to flows that are sent on in a client's stead: sockets
 * of the node take theirs here, and node ports lie here.
 */
const volatile __u16 reserved_ports_first = 30000;
const volatile __u16 reserved_ports_last = 60999;

/* Which packets of pods that leave the cluster bear an address of this node: enum masquerade_flags, or-ed. */
const volatile __u8 masquerade_flags = 0;

/* 1: policies may send pods' packets that leave the cluster by gateways. */
const volatile __u8 egress_gateway = 0;

/* What there is of network interfaces whose addresses pods have: enum nic_flags, or-ed. */
const volatile __u8 nic_flags = 0;

/* 1: the node may have pods that another CNI attached (ENDPOINT_FORMER). */
const volatile __u8 former_pods = 0;

/* TCP: until the handshake is complete. */
const volatile __u64 ct_tcp_opening_ns = 60 * SECOND;
/* TCP: idle time of a complete connection. */
const volatile __u64 ct_tcp_established_ns = 8000 * SECOND;
/* TCP: idle time after a FIN from one side. */
const volatile __u64 ct_tcp_closing_ns = 120 * SECOND;
/* TCP: after a FIN from both sides, or a RST. */
const volatile __u64 ct_tcp_closed_ns = 10 * SECOND;
/* UDP and SCTP: nothing came back yet. */
const volatile __u64 ct_udp_opening_ns = 30 * SECOND;
/* UDP and SCTP: both sides have spoken. */
const volatile __u64 ct_udp_ns = 120 * SECOND;
/* ICMP echo and its like. */
const volatile __u64 ct_icmp_ns = 30 * SECOND;
/* Every other protocol. */
const volatile __u64 ct_other_ns = 600 * SECOND;
/* 1: a packet whose flow finds no room in conntrack is dropped; 0: it passes unrecorded and is counted. */
const volatile __u8 ct_full_drops = 0;

/* Which moments of a flow are reported: enum flow_moment, or-ed. */
const volatile __u32 flow_events = FLOW_FIRST | FLOW_REPLY | FLOW_END;
/* Drop events a second and CPU; those beyond are only counted. */
const volatile __u32 drop_events_per_second = 1000;
/* Drop events that may come at once on one CPU. */
const volatile __u32 drop_events_burst = 1000;
/* Messages a second and CPU that nobody serves, as the host's stack limits its own (ip-sysctl, icmp_msgs_per_sec). */
const volatile __u32 answers_per_second = 1000;
/* Those that may go at once on one CPU. */
const volatile __u32 answers_burst = 50;
/* A flow event wakes the reader each time so many more bytes wait, otherwise it looks by a timer; 0 wakes it always. */
const volatile __u32 event_batch_bytes = 0;
