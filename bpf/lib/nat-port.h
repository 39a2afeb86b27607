/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Source ports that translated flows go on from: their own if it is free and they may keep it, else one by chance, and
 * where most are taken, one that is searched for among all. What sockets of the node have is asked of the kernel where
 * flows leave the cluster; other flows leave those sockets the range that they take their ports from.
 */
#pragma once
#include "nat-flow.h"

enum {
	/* Source ports that are tried by chance. */
	NAT_TRIES = 16,
	NAT_PORTS = 65536 - CROWD_PORT_FIRST,
	/* What a connection had that is over is taken where so many others have been tried. */
	NAT_PICKY_TRIES = 4,
	/* So many ports that servers remember a search passes over and leaves them unmarked. */
	NAT_HELD_TRIES = 64,
	/* How often a flow tries again that found a port and saw another one take it. */
	NAT_RACES = 4,
	NAT_LOST = -1,
	/* Of so many flows that keep their ports one looks whether so many others are taken. */
	NAT_LOOK_EVERY = 64,
	NAT_LOOK_PORTS = 4,
};

/* Which ports a flow may have; or-ed. */
enum nat_choice {
	NAT_KEEP = 1,  /* its own */
	NAT_OTHER = 2, /* others */
};

/* A source port that is not reserved. */
static __always_inline __be16 nat_port(__u32 number)
{
	__u32 reserved = reserved_ports_last - reserved_ports_first + 1;
	__u32 port = CROWD_PORT_FIRST + number % (NAT_PORTS - reserved);

	return bpf_htons((__u16)(port < reserved_ports_first ? port : port + reserved));
}

static __always_inline bool nat_port_is_reserved(__be16 port)
{
	return bpf_ntohs(port) >= reserved_ports_first && bpf_ntohs(port) <= reserved_ports_last;
}

/* Where the search for a port begins: the ports of one client to one service lead to as many others. */
static __always_inline __u32 nat_port_start(const struct tuple *from)
{
	__u32 service = from->destination.words[3] ^ from->destination.words[2] ^ from->destination_port;

	return (service * 0x9e3779b1 >> 8) + bpf_ntohs(from->source_port);
}

/* Whether a socket of the node would be given the replies to the scratch's `to`. */
static __always_inline bool nat_is_hosts(struct __sk_buff *skb, struct scratch *own)
{
	struct bpf_sock_tuple *replies = (struct bpf_sock_tuple *)&own->socket;
	struct bpf_sock *socket;
	__u32 size;

	if (own->to.protocol != IPPROTO_TCP && own->to.protocol != IPPROTO_UDP)
		return false;
	if (address_is4(&own->to.source)) {
		size = sizeof(replies->ipv4);
		replies->ipv4.saddr = own->to.destination.words[3];
		replies->ipv4.daddr = own->to.source.words[3];
		replies->ipv4.sport = own->to.destination_port;
		replies->ipv4.dport = own->to.source_port;
	} else {
		size = sizeof(replies->ipv6);
		__builtin_memcpy(replies->ipv6.saddr, &own->to.destination, sizeof(replies->ipv6.saddr));
		__builtin_memcpy(replies->ipv6.daddr, &own->to.source, sizeof(replies->ipv6.daddr));
		replies->ipv6.sport = own->to.destination_port;
		replies->ipv6.dport = own->to.source_port;
	}
	socket = own->to.protocol == IPPROTO_TCP ? bpf_skc_lookup_tcp(skb, replies, size, BPF_F_CURRENT_NETNS, 0)
						 : bpf_sk_lookup_udp(skb, replies, size, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return false;
	bpf_sk_release(socket);
	return true;
}

static __always_inline void nat_port_set(struct tuple *to, __be16 port)
{
	to->source_port = port;
	/* An echo's identifier stands for both. */
	if (to->protocol == IPPROTO_ICMP || to->protocol == IPPROTO_ICMPV6)
		to->destination_port = port;
}

/* Whether a flow leaves the cluster: then it may have all ports that no socket of the node has. */
static __always_inline bool nat_has_all(const struct scratch *own)
{
	return own->forward.flags & NAT_EGRESS;
}

/* Whether a flow that comes as `from` may go on from a port. */
__outlined enum nat_claim nat_try(struct __sk_buff *skb, const struct tuple *from, __be16 port)
{
	struct scratch *own = scratch();
	enum nat_claim claim;

	if (!from || !own)
		return NAT_TAKEN;
	nat_port_set(&own->to, port);
	claim = nat_claim(from, own);
	return !nat_is_refused(claim) && nat_has_all(own) && nat_is_hosts(skb, own) ? NAT_TAKEN : claim;
}

/* Finds a port by chance: the best of some. */
__outlined enum nat_claim nat_by_chance(struct __sk_buff *skb, const struct tuple *from)
{
	enum nat_claim claim, second = NAT_TAKEN;
	__be16 port, second_port = 0;
	__u32 number;

	if (!from)
		return NAT_TAKEN;
	number = nat_port_start(from);
	for (__u32 i = 0; i < NAT_TRIES; i++) {
		port = nat_port(number);
		claim = nat_try(skb, from, port);
		if (claim == NAT_FREE)
			return claim;
		/* That its server remembers it costs more than that it was another's a moment ago. */
		if (claim == NAT_OVER || (claim == NAT_REMEMBERED && second == NAT_TAKEN)) {
			second = claim;
			second_port = port;
		}
		if (second && i >= NAT_PICKY_TRIES)
			break;
		number = bpf_get_prandom_u32();
	}
	/* Once more, for who had it is noted. */
	return second != NAT_TAKEN ? nat_try(skb, from, second_port) : NAT_TAKEN;
}

/* The search through a crowd's ports; where it is, is in the scratch. */
struct nat_search {
	struct __sk_buff *skb;
	const struct tuple *from;
	struct nat_crowd *crowd;
	enum nat_claim claim;
};

/* On to a place, beyond the last one to the first. Whether the search is over. */
static __always_inline long nat_search_on(struct scratch *own, __u32 place)
{
	own->place = place < NAT_PORTS ? place : 0;
	if (own->place % CROWD_GROUP)
		return 0;
	/* The group that it began in, in the middle, comes once more. */
	return ++own->groups > CROWD_GROUPS;
}

/* The ports of a word that are not marked, a bit each. */
static __always_inline __u64 nat_search_unmarked(struct nat_crowd *crowd, __u32 word)
{
	__u32 number = (crowd->half & 1) * CROWD_WORDS + word;
	__u64 unmarked = ~crowd->taken[number], bit = 1ULL << (word % 64);

	if (unmarked)
		return unmarked;
	__sync_fetch_and_or(&crowd->full[word / 64], bit);
	/* Somebody may have given one back at this moment. */
	unmarked = ~crowd->taken[number];
	if (unmarked)
		__sync_fetch_and_and(&crowd->full[word / 64], ~bit);
	return unmarked;
}

/*
 * One step: tries a port, or leaves words behind. A port that is refused is marked from then on, but not the first ones
 * that a server remembers: who comes next may have a sequence number that it takes, and where connections are short
 * all ports would be marked in a moment.
 */
static long nat_search_step(__u32 step, struct nat_search *search)
{
	struct scratch *own = scratch();
	__u64 rest, unmarked;
	__u32 word, place;

	(void)step;
	if (!own || own->place >= NAT_PORTS)
		return 1;
	place = own->place;
	word = place / 64;
	rest = ~search->crowd->full[word / 64] >> (word % 64);
	if (!rest)
		return nat_search_on(own, (place / CROWD_GROUP + 1) * CROWD_GROUP);
	/* The next word of which not all are marked. */
	if (!(rest & 1))
		return nat_search_on(own, (word + (__u32)__builtin_ctzll(rest)) * 64);
	unmarked = nat_search_unmarked(search->crowd, word) & crowd_allowed(word, nat_has_all(own));
	unmarked &= ~0ULL << (place % 64);
	if (!unmarked)
		return nat_search_on(own, (word + 1) * 64);
	place = word * 64 + (__u32)__builtin_ctzll(unmarked);
	search->claim = nat_try(search->skb, search->from, bpf_htons((__u16)(CROWD_PORT_FIRST + place)));
	if (!nat_is_refused(search->claim))
		return 1;
	if (search->claim == NAT_TAKEN || ++own->held > NAT_HELD_TRIES)
		crowd_mark(search->crowd, (__u16)(CROWD_PORT_FIRST + place));
	return nat_search_on(own, place + 1);
}

/* Finds a port among all of a crowd's, if there is one. */
static __always_inline enum nat_claim nat_by_search(struct __sk_buff *skb, const struct tuple *from,
						    struct nat_crowd *crowd, struct scratch *own)
{
	struct nat_search search = {.skb = skb, .from = from, .crowd = crowd, .claim = NAT_TAKEN};

	own->place = bpf_get_prandom_u32() % CROWD_WORDS * 64;
	own->groups = 0;
	own->held = 0;
	/* Each port at most once but for those of the first group, and each word. */
	bpf_loop(NAT_PORTS + CROWD_GROUP + 2 * CROWD_WORDS, nat_search_step, &search, 0);
	return search.claim;
}

/*
 * Whether most ports of flows like this are taken, by a look at some. Flows that all keep their own would fill them
 * unnoticed.
 */
__outlined bool nat_looks_crowded(struct __sk_buff *skb, const struct tuple *from)
{
	if (!from)
		return false;
	for (__u32 i = 0; i < NAT_LOOK_PORTS; i++)
		if (nat_try(skb, from, nat_port(bpf_get_prandom_u32())) != NAT_TAKEN)
			return false;
	return true;
}

/* Finds a port; notes the crowd of the flow, if it is in one. */
static __always_inline enum nat_claim nat_find_port(struct __sk_buff *skb, const struct tuple *from, __u32 choice,
						    struct scratch *own, struct nat_crowd **crowd)
{
	enum nat_claim claim;

	if (!(choice & NAT_OTHER))
		return choice && nat_try(skb, from, from->source_port) == NAT_FREE ? NAT_FREE : NAT_TAKEN;
	*crowd = crowd_of(&own->to, own);
	if (!*crowd && !(bpf_get_prandom_u32() % NAT_LOOK_EVERY) && nat_looks_crowded(skb, from))
		*crowd = crowd_begin(own);
	if (*crowd && !crowd_admits(*crowd, &from->source, own, nat_has_all(own)))
		return NAT_TAKEN;
	if (choice & NAT_KEEP && nat_try(skb, from, from->source_port) == NAT_FREE)
		return NAT_FREE;
	if (!*crowd) {
		claim = nat_by_chance(skb, from);
		if (!nat_is_refused(claim))
			return claim;
		*crowd = crowd_begin(own);
	}
	return *crowd ? nat_by_search(skb, from, *crowd, own) : NAT_TAKEN;
}

/* Finds a port and takes it. Returns a drop reason, or NAT_LOST when another flow was faster. */
static __always_inline int nat_open_once(struct __sk_buff *skb, const struct tuple *from, __u32 choice)
{
	struct scratch *own = scratch();
	struct nat_crowd *crowd = 0;
	enum nat_claim claim;
	long error;

	if (!own)
		return DROP_MALFORMED;
	claim = nat_find_port(skb, from, choice, own, &crowd);
	if (nat_is_refused(claim))
		return DROP_NAT_PORTS;
	own->remembered = claim == NAT_REMEMBERED;
	error = nat_take(from);
	if (error)
		return error == -EEXIST ? NAT_LOST : DROP_NAT_FULL;
	if (crowd)
		crowd_enter(crowd, bpf_ntohs(own->to.source_port), &from->source, own);
	return DROP_NONE;
}

/* Whether a translation made now might be known to this program's maps, and not to those that take their place. */
static __always_inline bool nat_changes_over(void)
{
	const __u32 only = 0;
	const __u64 *until = bpf_map_lookup_elem(&change_over, &only);

	return until && unlikely(*until) && *until > bpf_ktime_get_coarse_ns();
}

/*
 * Writes both entries of a flow that comes as `from` and goes on as the scratch's forward entry says, from a port that
 * is free; one that bypasses a node on its way back keeps its own.
 */
__outlined enum drop_reason nat_open(struct __sk_buff *skb, const struct tuple *from, __u32 choice)
{
	struct scratch *own = scratch();
	int result;

	if (!from || !own)
		return DROP_MALFORMED;
	if (nat_changes_over())
		return DROP_CHANGE_OVER;
	own->to.source = own->forward.source;
	own->to.destination = own->forward.destination;
	own->to.source_port = own->forward.source_port;
	own->to.destination_port = own->forward.destination_port;
	own->to.protocol = nat_protocol(&own->forward, from->protocol);
	for (__u32 i = 0; i < NAT_RACES; i++) {
		/* What it needs of the scratch it looks for itself: what is kept from turn to turn takes the stack. */
		result = nat_open_once(skb, from, choice);
		if (result != NAT_LOST)
			return (enum drop_reason)result;
	}
	return DROP_NAT_PORTS;
}
