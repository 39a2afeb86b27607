/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Translated flows: the ports they go on from, and their entries in the map translations. A flow owns the tuple of what
 * goes on for as long as conntrack knows it.
 */
#pragma once
#include "nat.h"

enum {
	/* Source ports that are tried for one flow. */
	NAT_TRIES = 32,
	NAT_PORT_FIRST = 1024,
	NAT_PORTS = 65536 - NAT_PORT_FIRST,
};

/* Whether a flow may have this tuple: nobody has it, or a flow that is over. */
static __always_inline bool nat_is_free(const struct tuple *t)
{
	const struct ct_value *entry = ct_find(t);

	return !ct_live(entry) || ct_closed(entry->flags);
}

/* Whether an entry for replies is one of a flow that comes as `from`. */
static __always_inline bool nat_replies_to(const struct nat_value *reply, const struct tuple *from)
{
	return reply && address_equal(&reply->destination, &from->source) &&
	       address_equal(&reply->source, &from->destination) && reply->destination_port == from->source_port &&
	       reply->source_port == from->destination_port;
}

/* Whether a flow that comes as `from` has this tuple already. */
static __always_inline bool nat_is_own(const struct tuple *t, const struct tuple *from)
{
	struct nat_key against = nat_key_against(t);

	return nat_replies_to(bpf_map_lookup_elem(&translations, &against), from);
}

/* A source port that is not reserved. */
static __always_inline __be16 nat_port(__u32 number)
{
	__u32 reserved = reserved_ports_last - reserved_ports_first + 1;
	__u32 port = NAT_PORT_FIRST + number % (NAT_PORTS - reserved);

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

enum nat_claim {
	NAT_TAKEN,
	NAT_FREE,
	NAT_OVER,       /* a connection had it that is over, and its server knows nothing of it any more */
	NAT_REMEMBERED, /* likewise, but the server remembers it, and will take this segment for a new one's all the
			   same */
};

/*
 * What another flow would find with the tuple of one that conntrack knows. A server that remembers a connection takes
 * the next one's first segment if its sequence number is beyond all that the old one sent, or its timestamp is: those
 * of two clients, or of one that believes to speak to two services, have nothing to do with each other (RFC 9293
 * section 3.10.7.4, RFC 6191; Linux: tcp_timewait_state_process).
 */
static __always_inline enum nat_claim nat_claim_over(const struct ct_value *entry, __u8 protocol,
						     const struct scratch *own)
{
	if (protocol != IPPROTO_TCP || !own->opens || !ct_closed(entry->flags) || !(entry->flags & CT_TRANSLATED))
		return NAT_TAKEN;
	if (!(entry->flags & CT_WAITS) || entry->flags & CT_RST)
		return NAT_OVER;
	return (__s32)(own->sequence - entry->end) > 0 ? NAT_REMEMBERED : NAT_TAKEN;
}

/* What a flow that comes as `from` would find with a tuple. */
static __always_inline enum nat_claim nat_claim(const struct tuple *to, const struct tuple *from,
						const struct scratch *own)
{
	const struct ct_value *entry = ct_find(to);

	return !ct_live(entry) || nat_is_own(to, from) ? NAT_FREE : nat_claim_over(entry, to->protocol, own);
}

/* What a connection had that is over is taken where so many others have been tried. */
#define NAT_PICKY_TRIES 4

/*
 * Finds a source port with which a tuple is free. Its own is tried first, unless it must not be kept, then so many
 * others, NAT_TRIES at most. Returns whether there is one.
 */
__outlined bool nat_find_port(struct tuple *to, const struct tuple *from, bool keep, __u32 tries)
{
	struct scratch *own = scratch();
	enum nat_claim claim, second = NAT_TAKEN;
	__be16 second_port = 0;
	__u32 number;

	if (!to || !from || !own)
		return false;
	own->remembered = 0;
	if (keep && nat_claim(to, from, own) == NAT_FREE)
		return true;
	number = nat_port_start(from);
	for (__u32 i = 0; i < NAT_TRIES && i < tries; i++) {
		to->source_port = nat_port(number);
		claim = nat_claim(to, from, own);
		if (claim == NAT_FREE)
			return true;
		/* That its server remembers it costs more than that it was another's a moment ago. */
		if (claim == NAT_OVER || (claim == NAT_REMEMBERED && second == NAT_TAKEN)) {
			second = claim;
			second_port = to->source_port;
		}
		if (second && i >= NAT_PICKY_TRIES)
			break;
		number = bpf_get_prandom_u32();
	}
	to->source_port = second_port;
	own->remembered = second == NAT_REMEMBERED;
	return second;
}

/* A packet with this tuple is no longer translated. */
__outlined int nat_forget(const struct tuple *t)
{
	struct nat_key key;

	if (!t)
		return 0;
	key = nat_key_of(t);
	bpf_map_delete_elem(&translations, &key);
	return 0;
}

/* The flow that had a tuple before loses what leads to it and back: of two that lead there one would be wrong. */
__outlined int nat_release(const struct tuple *to)
{
	const struct nat_value *former;
	struct nat_key against, came;

	if (!to)
		return 0;
	against = nat_key_against(to);
	former = bpf_map_lookup_elem(&translations, &against);
	if (!former || !(former->flags & NAT_REPLY))
		return 0;
	came.source = former->destination;
	came.destination = former->source;
	came.source_port = former->destination_port;
	came.destination_port = former->source_port;
	came.protocol = to->protocol;
	__builtin_memset(came.pad, 0, sizeof(came.pad));
	bpf_map_delete_elem(&translations, &came);
	bpf_map_delete_elem(&translations, &against);
	return 0;
}

/* Makes the scratch's entries those of a flow that comes as `from` and goes on as `to`. */
static __always_inline void nat_entries_set(struct scratch *own, const struct tuple *from, const struct tuple *to)
{
	struct nat_value *forward = &own->forward, *reply = &own->reply;

	forward->source = to->source;
	forward->source_port = to->source_port;
	forward->destination_port = to->destination_port;
	forward->created = bpf_ktime_get_coarse_ns();
	*reply = *forward;
	reply->source = from->destination;
	reply->destination = from->source;
	reply->source_port = from->destination_port;
	reply->destination_port = from->source_port;
	reply->flags |= NAT_REPLY;
}

/*
 * Writes both entries of a flow that comes as `from` and goes on as the scratch's forward entry says, from the same
 * port if it may keep it and nobody has it; one that bypasses a node on its way back has to. Linux 6.1 takes no value
 * for a map from a global function's argument.
 */
__outlined enum drop_reason nat_open(const struct tuple *from, bool keep)
{
	struct scratch *own = scratch();
	struct nat_key key;
	struct tuple to;

	if (!from || !own)
		return DROP_MALFORMED;
	to = nat_tuple(&own->forward, from->protocol);
	if (!nat_find_port(&to, from, keep, own->forward.flags & (NAT_DSR | NAT_DIRECT) ? 0 : NAT_TRIES))
		return DROP_NAT_PORTS;
	nat_release(&to);
	nat_entries_set(own, from, &to);
	key = nat_key_against(&to);
	if (bpf_map_update_elem(&translations, &key, &own->reply, BPF_ANY))
		return DROP_NAT_FULL;
	key = nat_key_of(from);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}

/* What a flow that comes as `from` goes on as by the scratch's forward entry, but for the port that it is given. */
static __always_inline struct tuple nat_bare(const struct scratch *own, const struct tuple *from)
{
	struct tuple bare = nat_tuple(&own->forward, from->protocol);

	bare.source_port = from->source_port;
	return bare;
}

/* Whether the flow that had that tuple is over. */
__outlined bool nat_bare_is_free(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;

	if (!from || !own)
		return false;
	bare = nat_bare(own, from);
	return nat_is_free(&bare);
}

/* Packets that come with that tuple go on as the forward entry says, too. */
__outlined enum drop_reason nat_open_bare(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;
	struct nat_key key;

	if (!from || !own)
		return DROP_MALFORMED;
	bare = nat_bare(own, from);
	key = nat_key_of(&bare);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}
