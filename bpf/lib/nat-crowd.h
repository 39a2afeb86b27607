/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ports of translated flows where most are taken. Such flows differ in their source ports alone: one protocol, one
 * source, one destination and its port. Of a crowd is remembered which ports it has; the marks are only hints, what
 * conntrack and the map translations say counts.
 */
#pragma once
#include <linux/in.h>
#include "config.h"
#include "maps.h"
#include "nat-key.h"

/* Flows beyond this share of a crowd's ports are admitted only of those that have less than an even share. */
#define CROWD_SPARE_SHARE 16
/* A crowd that has shrunk to this share of all ports finds its ports by chance again. */
#define CROWD_LEAST_SHARE 8

static __always_inline void crowd_key_set(struct crowd_key *key, const struct address *source,
					  const struct address *destination, __be16 destination_port, __u8 protocol)
{
	bool echo = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;

	key->source = *source;
	key->destination = *destination;
	key->destination_port = echo ? 0 : destination_port;
	key->protocol = protocol;
	key->pad = 0;
}

/* Those of flows that go on as such a tuple; null when none is known. */
static __always_inline struct nat_crowd *crowd_of(const struct tuple *to, struct scratch *own)
{
	struct crowd_key *key = &own->share.crowd;

	crowd_key_set(key, &to->source, &to->destination, to->destination_port, to->protocol);
	return bpf_map_lookup_elem(&nat_crowds, key);
}

/* From now on it is remembered which ports the scratch's crowd has. */
static __always_inline struct nat_crowd *crowd_begin(struct scratch *own)
{
	__u32 zero = 0;
	const struct nat_crowd *blank = bpf_map_lookup_elem(&nat_crowd_blank, &zero);

	if (blank)
		bpf_map_update_elem(&nat_crowds, &own->share.crowd, blank, BPF_NOEXIST);
	return bpf_map_lookup_elem(&nat_crowds, &own->share.crowd);
}

/* How many ports flows may be given: what must leave those of the node's sockets alone has less. */
static __always_inline __u32 crowd_room(bool reserved_too)
{
	__u32 reserved = reserved_ports_last - reserved_ports_first + 1;

	return 65536 - CROWD_PORT_FIRST - (reserved_too ? 0 : reserved);
}

/* Which ports of a word those are, a bit each. */
static __always_inline __u64 crowd_allowed(__u32 word, bool reserved_too)
{
	__u32 first = CROWD_PORT_FIRST + word * 64, last = first + 63;
	__u64 allowed = 0;

	if (reserved_too || last < reserved_ports_first || first > reserved_ports_last)
		return ~0ULL;
	if (first < reserved_ports_first)
		allowed |= (1ULL << (reserved_ports_first - first)) - 1;
	if (last > reserved_ports_last)
		allowed |= ~0ULL << (reserved_ports_last - first + 1);
	return allowed;
}

/*
 * The word of a port; CROWD_WORDS of one that is never given. The barrier keeps the comparison, which tells the
 * verifier what clang knows without it.
 */
static __always_inline __u32 crowd_word(__u16 port)
{
	__u32 word = ((__u32)port - CROWD_PORT_FIRST) / 64;

	barrier_var(word);
	return word < CROWD_WORDS ? word : CROWD_WORDS;
}

/* Marks a port in one half; whether it was not marked yet. */
static __always_inline bool crowd_mark_half(struct nat_crowd *crowd, __u16 port, __u32 half)
{
	__u64 bit = 1ULL << (port % 64);
	__u32 word = crowd_word(port);

	if (word == CROWD_WORDS)
		return false;
	return !(__sync_fetch_and_or(&crowd->taken[(half & 1) * CROWD_WORDS + word], bit) & bit);
}

/* Marks a port that a flow has, or was refused, in both: expiry may be about to go over to the other one. */
static __always_inline void crowd_mark(struct nat_crowd *crowd, __u16 port)
{
	crowd_mark_half(crowd, port, 0);
	crowd_mark_half(crowd, port, 1);
}

/* Takes the mark of a port that is free again. */
static __always_inline void crowd_unmark(struct nat_crowd *crowd, __u16 port)
{
	__u64 bit = 1ULL << (port % 64);
	__u32 word = crowd_word(port);

	if (word == CROWD_WORDS)
		return;
	__sync_fetch_and_and(&crowd->taken[word], ~bit);
	__sync_fetch_and_and(&crowd->taken[CROWD_WORDS + word], ~bit);
	__sync_fetch_and_and(&crowd->full[word / 64], ~(1ULL << (word % 64)));
}

/*
 * Whether another flow of an owner is admitted: the last ports go to those who have few. Without that one pod with many
 * connections to a server would keep all others of its node from it.
 */
static __always_inline bool crowd_admits(const struct nat_crowd *crowd, const struct address *owner,
					 struct scratch *own, bool reserved_too)
{
	__u32 room = crowd_room(reserved_too), owners = crowd->owners ? crowd->owners : 1;
	const struct share *share;

	if (likely((__s32)crowd->ports < (__s32)(room - room / CROWD_SPARE_SHARE)))
		return true;
	own->share.owner = *owner;
	share = bpf_map_lookup_elem(&crowd_shares, &own->share);
	return !share || (__s32)share->ports < (__s32)((room + owners - 1) / owners);
}

/* Who the scratch names shares a crowd's ports. */
static __always_inline bool crowd_share_begin(struct scratch *own, __u32 ports, __u32 counting)
{
	own->share_new.ports = ports;
	own->share_new.counting = counting;
	return !bpf_map_update_elem(&crowd_shares, &own->share, &own->share_new, BPF_NOEXIST);
}

/*
 * A flow of the scratch's crowd has a port. Of flows that began before the crowd was known only the end is counted, so
 * that counts may be below zero until expiry has made them anew.
 */
static __always_inline void crowd_enter(struct nat_crowd *crowd, __u16 port, const struct address *owner,
					struct scratch *own)
{
	struct share *share;

	crowd_mark(crowd, port);
	__sync_fetch_and_add(&crowd->ports, 1);
	own->share.owner = *owner;
	share = bpf_map_lookup_elem(&crowd_shares, &own->share);
	if (share)
		__sync_fetch_and_add(&share->ports, 1);
	else if (crowd_share_begin(own, 1, 0))
		__sync_fetch_and_add(&crowd->owners, 1);
}

/*
 * A flow that went on as a tuple is over: its port is free, before expiry comes by. Who it was given to is in its entry
 * for replies.
 */
__outlined int crowd_leave(const struct tuple *to)
{
	struct scratch *own = scratch();
	const struct nat_value *reply;
	struct nat_crowd *crowd;
	struct share *share;

	if (!to || !own)
		return 0;
	crowd = crowd_of(to, own);
	if (likely(!crowd))
		return 0;
	crowd_unmark(crowd, bpf_ntohs(to->source_port));
	__sync_fetch_and_sub(&crowd->ports, 1);
	nat_key_set_against(&own->against, to);
	reply = bpf_map_lookup_elem(&translations, &own->against);
	if (!reply)
		return 0;
	own->share.owner = reply->destination;
	share = bpf_map_lookup_elem(&crowd_shares, &own->share);
	if (share)
		__sync_fetch_and_sub(&share->ports, 1);
	return 0;
}
