/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Of the structures shared with the control plane those about what leaves the cluster; part of shared.h, which alone is
 * included. */
#pragma once
#include <linux/types.h>

/* Which packets of pods that leave the cluster bear an address of this node; or-ed in the load-time constant. */
enum masquerade_flags {
	MASQUERADE_IPV4 = 1,
	MASQUERADE_IPV6 = 2,
	MASQUERADE_NODES = 4,     /* those to other nodes' own addresses too */
	MASQUERADE_PROTOCOLS = 8, /* those of protocols without ports too, by address alone; else they are dropped */
	MASQUERADE_NAT64 = 16,    /* IPv6 to what nat64_prefixes holds goes out as IPv4 */
};

/*
 * native_ranges: longest prefix; what is in one knows the pods' addresses. nat64_prefixes: what is in one stands for
 * the IPv4 address in its last 32 bits (RFC 6052 section 2.2).
 */
struct range_key {
	__u32 prefix_length; /* 0–128, over the 16-byte address */
	struct address address;
};

/* Of the machine's network interfaces whose addresses pods have; or-ed in the load-time constant. */
enum nic_flags {
	NIC_PODS = 1,   /* there are some */
	NIC_EGRESS = 2, /* by which one a packet leaves is told by its source, whatever the kernel's routes say */
};

/*
 * nic_ways: longest prefix of a source → the network interface that has it, which a cloud's network takes its packets
 * from and from no other. One is also found by its index, in the last word of an address that begins with 0, one more
 * than the enum family, and 0; no host has those.
 */
struct nic_way {
	struct address gateway;
	__u32 ifindex; /* 0: the machine does not have it */
	__u32 mtu;
};

/* egress_addresses: which of this node's addresses pods' packets leave by a device with, numbered from 0. */
struct egress_key {
	__u32 ifindex;
	__u16 family; /* enum family */
	__u16 index;
};

struct egress_address {
	struct address address;
	__u32 count; /* of the device's in that family */
};

enum egress_size {
	EGRESS_ADDRESSES = 16, /* of a device in a family */
};

/* nat_crowds: translated flows that differ in their source ports alone; what they have of them is in struct nat_crowd.
 */
struct crowd_key {
	struct address source;
	struct address destination;
	__be16 destination_port; /* 0 of an echo */
	__u8 protocol;
	__u8 pad;
};

enum crowd_size {
	CROWD_PORT_FIRST = 1024,                       /* of those that flows are given */
	CROWD_WORDS = (65536 - CROWD_PORT_FIRST) / 64, /* of a bit a port */
	CROWD_GROUPS = (CROWD_WORDS + 63) / 64,        /* of 64 words */
	CROWD_GROUP = 64 * 64,                         /* ports of a group */
	CROWDS = 1024,
};

/* crowd_shares: how many of a crowd's ports who opens the flows has. */
struct share_key {
	struct crowd_key crowd;
	struct address owner; /* source of the flows as they come */
};

struct share {
	__u32 ports;
	__u32 counting; /* those found so far by the expiry that runs */
};

/* What becomes of a packet that leaves the cluster and that a policy names. */
enum egress_path_flags {
	EGRESS_KEPT = 1,    /* it is excepted: it leaves as if there were no policy */
	EGRESS_NONE = 2,    /* no gateway is healthy */
	EGRESS_UNKNOWN = 4, /* the pod's labels, which policies select by, are not known yet */
};

/*
 * egress_paths: longest prefix, over both. Packets that other nodes' pods send by this node have a policy in the place
 * of the source: its number in the last word, the others zero.
 */
struct egress_path_key {
	__u32 prefix_length; /* 128–256 */
	struct address source;
	struct address destination;
};

struct egress_path {
	struct address tunnel; /* of the gateway; zero when this node is it */
	__u32 policy;          /* its number, which the gateway is told */
	__u32 device; /* of this node: where egress_addresses has what stands for the pods, EGRESS_DEVICES or more */
	__u32 flags;  /* enum egress_path_flags */
};

enum egress_device {
	/* In egress_addresses these are no devices but sets of addresses, each of a policy. */
	EGRESS_DEVICES = 0x40000000,
};
