/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map of the datapath. All objects share one set: the loader creates them from the first object, sets the sizes
 * and hands them to the others by name. Sizes here are what a program gets when nobody sets them.
 */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "compiler.h"
#include "scratch.h"
#include "shared.h"

/* Addresses of local pods and of the node. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct address);
	__type(value, struct endpoint_value);
} endpoints SEC(".maps");

/* What other nodes know this node by, by enum family; zero where it has none. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FAMILIES);
	__type(key, __u32);
	__type(value, struct address);
} node_addresses SEC(".maps");

/* Interface index of a pod's host side → the pod. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct endpoint_value);
} devices SEC(".maps");

/* Prefixes of other nodes' pods. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 524288);
	__type(key, struct ipcache_key);
	__type(value, struct ipcache_value);
} ipcache SEC(".maps");

/* Not preallocated: a table sized for the worst day costs nothing on the others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct ct_key);
	__type(value, struct ct_value);
} conntrack SEC(".maps");

/* Two entries a translated flow. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct nat_key);
	__type(value, struct nat_value);
} translations SEC(".maps");

/*
 * Until when (bpf_ktime_get_coarse_ns) no flow is translated anew; 0: it is. Written by the control plane while other
 * maps take these ones' place, and pinned in this layout by every build, so that programs of two builds obey it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} change_over SEC(".maps");

/*
 * Which ports a crowd has, by all that its flows were refused and given. A port that is marked may be free again, until
 * expiry marks anew, in the other half of the words; one that is not may be taken.
 */
struct nat_crowd {
	__u32 half;     /* which half holds: 0 or 1 */
	__u32 ports;    /* that flows have */
	__u32 counting; /* those found so far by the expiry that runs */
	__u32 owners;   /* how many share them */
	__u32 owners_counting;
	__u32 pad;
	__u64 full[CROWD_GROUPS]; /* a bit a word of which all are marked */
	__u64 taken[2 * CROWD_WORDS];
};

/* Crowds that a port is not easily found for. Written by the programs; expiry counts them and removes those that
 * shrink. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CROWDS);
	__type(key, struct crowd_key);
	__type(value, struct nat_crowd);
} nat_crowds SEC(".maps");

/* What a crowd begins as: too much for a stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_crowd);
} nat_crowd_blank SEC(".maps");

/* Of the crowds in nat_crowds. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct share_key);
	__type(value, struct share);
} crowd_shares SEC(".maps");

/* What is in a prefix knows the pods' addresses. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct range_key);
	__type(value, __u32);
} native_ranges SEC(".maps");

/* Network interfaces of the machine by the addresses that they have. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct range_key);
	__type(value, struct nic_way);
} nic_ways SEC(".maps");

/* IPv6 prefixes that stand for IPv4, all of 96 bits. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, struct range_key);
	__type(value, __u32);
} nat64_prefixes SEC(".maps");

/* What pods' packets leave by a device with. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct egress_key);
	__type(value, struct egress_address);
} egress_addresses SEC(".maps");

/* Pods' packets that policies send by gateways. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct egress_path_key);
	__type(value, struct egress_path);
} egress_paths SEC(".maps");

/* Address of a local pod that went → when, by bpf_ktime_get_ns. Kept until expiry has come by. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct address);
	__type(value, __u64);
} departed SEC(".maps");

/* What clients speak to. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct service_key);
	__type(value, struct service_value);
} services SEC(".maps");

/* Who may use a service, where not everybody may. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct source_range_key);
	__type(value, __u32);
} source_ranges SEC(".maps");

/* Who takes new flows. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct slot_key);
	__type(value, struct backend);
} service_slots SEC(".maps");

/* Pods of this node that other nodes send flows to as they came. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct direct_key);
	__type(value, struct backend);
} direct_backends SEC(".maps");

/* For daemons to come: affinities and translations remember ids, which must not become somebody else's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct service_ids);
} service_ids SEC(".maps");

/* Keys by the control plane, values by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct load_key);
	__type(value, struct load);
} loads SEC(".maps");

/* New flows, by the service's id. Written by the programs, taken away by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, __u64);
} service_hits SEC(".maps");

/* Every backend by its id, for those who were given to it before. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct maglev_block {
	__u16 slots[MAGLEV_BLOCK];
};

struct maglev_segment {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAGLEV_SEGMENT_BLOCKS);
	__type(key, __u32);
	/* By size: clang describes no type that is only named in an inner map. */
	__uint(value_size, sizeof(struct maglev_block));
};

/* Maglev tables. Arrays in an array: look-ups in both are compiled to plain loads. Written by the control plane. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAGLEV_SEGMENTS);
	__type(key, __u32);
	__array(values, struct maglev_segment);
} maglev_segments SEC(".maps");

/* Written by the socket programs. LRU: a socket that goes tells nobody. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct socket_peer_key);
	__type(value, struct socket_peer);
} socket_peers SEC(".maps");

/* Written by the programs; an entry that has not been used for the service's time is void. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct affinity_key);
	__type(value, struct affinity_value);
} affinities SEC(".maps");

/* An entry is of use for the seconds a datagram's fragments are on their way; LRU needs no other expiry. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct frag_key);
	__type(value, struct frag_value);
} fragments SEC(".maps");

/* struct event, read by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* What happens seldom: drops and losses. A key exists once it has been counted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct metric_key);
	__type(value, struct metric_value);
} metrics SEC(".maps");

/* Packets sent on, by enum hook: an array, because every packet counts here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOK_MAX);
	__type(key, __u32);
	__type(value, struct metric_value);
} forwarded SEC(".maps");

/* By enum budget_kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUDGETS);
	__type(key, __u32);
	__type(value, struct event_budget);
} event_budgets SEC(".maps");

/* By a number of both addresses; who comes last has the place. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOPS);
	__type(key, __u32);
	__type(value, struct hop);
} hops SEC(".maps");

/* The flows that one number leads to. */
struct steady_set {
	struct steady ways[STEADY_WAYS];
};

/*
 * Of each CPU as many sets as the constant steady_sets says and one more; the loader sets both. Not an array per CPU,
 * whose entries are apart and found by one more look into memory; one that can be mapped begins with a page, so that no
 * set lies in more cache lines than it has to.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 257);
	__type(key, __u32);
	__type(value, struct steady_set);
} steady SEC(".maps");

/* One entry: a stack of 512 bytes is little for a chain of calls. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}
