/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Of the structures shared with the control plane those about services; part of shared.h, which alone is included. */
#pragma once
#include <linux/types.h>

/* Who asks for a service. */
enum service_scope {
	SERVICE_INSIDE = 0,  /* pods and processes of this node */
	SERVICE_OUTSIDE = 1, /* whatever arrives from elsewhere */
	SERVICE_NOBODY = 2,  /* in packets only: this one asks for none */
};

enum service_flags {
	SERVICE_SILENT = 1,    /* without a backend nothing is answered; otherwise clients are refused */
	SERVICE_EXCLUSIVE = 2, /* its address belongs to services alone */
	SERVICE_RANGES = 4,    /* source_ranges tells who may use it */
	SERVICE_BY_FLOW = 8, /* a packet's flow chooses the place in its table: every node gives it the same backend */
	SERVICE_LEAST = 32,  /* of two backends by chance the one with fewer flows takes a new one */
	SERVICE_DSR = 16,    /* pods of other nodes that serve it answer the client themselves */
};

/* services: what clients speak to → who serves it. Port and protocol 0: the address belongs to services alone. */
struct service_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 scope; /* enum service_scope */
};

struct service_value {
	__u32 id;               /* of its slots and affinities */
	__u32 count;            /* slots 0 to count - 1 take new flows */
	__u32 affinity_seconds; /* a client stays with its backend for so long after its last connection; 0: it need not
				 */
	__u32 flags;            /* enum service_flags */
	__u32 table;            /* number of the first block of its Maglev table */
	__u32 table_size;       /* places of that table; 0 when it has none */
	__u64 table_signature;  /* of the backends, weights, size and seed that the table was made from */
};

/*
 * Blocks of Maglev tables. A table has as many in a row as it needs, within one segment; its places hold indices of
 * service_slots. Segments are made as they are needed.
 */
enum maglev_size {
	MAGLEV_BLOCK = 512,           /* places of a block */
	MAGLEV_SEGMENT_BLOCKS = 1024, /* blocks of a segment, which is 1 MiB */
	MAGLEV_SEGMENTS = 4096,
};

/* source_ranges: longest prefix; a client that is in none of a service's may not use it. */
struct source_range_key {
	__u32 prefix_length; /* 32 to 160, over service and address */
	__u32 service;
	struct address address;
};

/* service_slots: the backends that take new flows of a service, without gaps. */
struct slot_key {
	__u32 service;
	__u32 index;
};

struct backend {
	struct address address;
	__u32 id; /* of this backend in this service; never given again */
	__be16 port;
	__u8 pad[2];
};

/* loads: a backend whose flows are counted → how many there are by this node's account. */
struct load_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct load {
	__u32 live;     /* at the last expiry of conntrack, and given since */
	__u32 counting; /* in an expiry that is under way */
};

/* service_ids: how many ids have been given so far, those of what went included; of each kind, one by one from 1. */
struct service_ids {
	__u64 services;
	__u64 backends;
};

/* direct_backends: a pod of this node that serves a service with SERVICE_DSR → at which port, and its id. */
struct direct_key {
	__u32 service;
	struct address address;
};

/*
 * How a node sends a flow on to a pod of another node that answers the client itself, which has to know what the client
 * speaks to.
 */
enum dsr_dispatch {
	DSR_OFF = 0,
	DSR_OPTION = 1, /* translated; the address asked for is an option of a connection's first packet, and of each
			   of a protocol without */
	DSR_IPIP = 2,   /* as it came, in a packet to the pod (RFC 2003, RFC 2473) */
	DSR_GENEVE = 3, /* the same in UDP (RFC 8926) */
};

/* socket_peers: where a socket really sends to → where its program believes it does. */
struct socket_peer_key {
	__u64 cookie;
	struct address address;
	__be16 port;
	__u8 pad[6];
};

struct socket_peer {
	struct address address;
	__be16 port;
	__u8 pad[2];
};

/* affinities: a client of a service → the backend it was given. */
struct affinity_key {
	struct address client; /* of sockets: the cookie of their network namespace in the last two words */
	__u32 service;
	__u32 pad;
};

struct affinity_value {
	__u64 used; /* bpf_ktime_get_coarse_ns of the last connection */
	__u32 backend;
	__u32 pad;
};
