/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ports of flows that leave the cluster from one of this node's addresses. They have all of the address's ports but the
 * privileged ones: what sockets of the node have taken is asked of the kernel. What a flow would go on as is the
 * scratch's `to`, for which the stack has no room.
 */
#pragma once
#include "nat-flow.h"

/* How long a tuple that has been given waits for its flow to be known to conntrack. */
#define NAT_GIVEN_NS SECOND

/* Whether a socket of the node would be given the replies to the tuple. */
__outlined bool nat_is_hosts(struct __sk_buff *skb)
{
	struct bpf_sock_tuple replies = {};
	struct scratch *own = scratch();
	struct bpf_sock *socket;
	__u32 size;

	if (!own || (own->to.protocol != IPPROTO_TCP && own->to.protocol != IPPROTO_UDP))
		return false;
	if (address_is4(&own->to.source)) {
		size = sizeof(replies.ipv4);
		replies.ipv4.saddr = own->to.destination.words[3];
		replies.ipv4.daddr = own->to.source.words[3];
		replies.ipv4.sport = own->to.destination_port;
		replies.ipv4.dport = own->to.source_port;
	} else {
		size = sizeof(replies.ipv6);
		__builtin_memcpy(replies.ipv6.saddr, &own->to.destination, sizeof(replies.ipv6.saddr));
		__builtin_memcpy(replies.ipv6.daddr, &own->to.source, sizeof(replies.ipv6.daddr));
		replies.ipv6.sport = own->to.destination_port;
		replies.ipv6.dport = own->to.source_port;
	}
	socket = own->to.protocol == IPPROTO_TCP ? bpf_skc_lookup_tcp(skb, &replies, size, BPF_F_CURRENT_NETNS, 0)
						 : bpf_sk_lookup_udp(skb, &replies, size, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return false;
	bpf_sk_release(socket);
	return true;
}

/*
 * Takes the entry of a flow that was over, which must not go to two flows at once: who changes the time of its making
 * has it.
 */
static __always_inline bool nat_take_over(struct nat_value *former, struct scratch *own, bool known)
{
	__u64 now = bpf_ktime_get_coarse_ns(), made = former->created;

	/* One that has just been made, and whose first packet is still on its way to conntrack. */
	if (!known && made + NAT_GIVEN_NS > now)
		return false;
	if (__sync_val_compare_and_swap(&former->created, made, now) != made)
		return false;
	own->came.source = former->destination;
	own->came.destination = former->source;
	own->came.source_port = former->destination_port;
	own->came.destination_port = former->source_port;
	own->came.protocol = own->to.protocol;
	bpf_map_delete_elem(&translations, &own->came);
	bpf_map_delete_elem(&translations, &own->against);
	return true;
}

/*
 * Takes the tuple for the flow that comes as `from`: who writes the entry for its replies has it. Linux 6.1 takes no
 * key for a map from a global function's argument.
 */
__outlined enum nat_claim nat_take(const struct tuple *from)
{
	struct scratch *own = scratch();
	enum nat_claim claim = NAT_FREE;
	const struct ct_value *entry;
	struct nat_value *former;
	bool mine;

	if (!from || !own)
		return NAT_TAKEN;
	own->against = nat_key_against(&own->to);
	former = bpf_map_lookup_elem(&translations, &own->against);
	mine = nat_replies_to(former, from);
	entry = ct_find(&own->to);
	if (ct_live(entry) && !mine)
		claim = nat_claim_over(entry, own->to.protocol, own);
	if (claim == NAT_TAKEN || (former && !mine && !nat_take_over(former, own, entry)))
		return NAT_TAKEN;
	nat_entries_set(own, from, &own->to);
	return bpf_map_update_elem(&translations, &own->against, &own->reply, mine ? BPF_ANY : BPF_NOEXIST) ? NAT_TAKEN
													    : claim;
}

static __always_inline void nat_port_set(struct tuple *to, __be16 port)
{
	to->source_port = port;
	/* An echo's identifier stands for both. */
	if (to->protocol == IPPROTO_ICMP || to->protocol == IPPROTO_ICMPV6)
		to->destination_port = port;
}

/*
 * Takes the tuple with a source port that is free: the flow's own, else one by chance. Protocols without ports have the
 * tuple or not.
 */
__outlined bool nat_take_port(struct __sk_buff *skb, const struct tuple *from, bool ports)
{
	struct scratch *own = scratch();
	enum nat_claim claim;

	if (!from || !own)
		return false;
	own->remembered = 0;
	if (!nat_is_hosts(skb) && nat_take(from) == NAT_FREE)
		return true;
	for (__u32 i = 0; ports && i < NAT_TRIES; i++) {
		nat_port_set(&own->to, nat_port(bpf_get_prandom_u32()));
		claim = nat_is_hosts(skb) ? NAT_TAKEN : nat_take(from);
		own->remembered = claim == NAT_REMEMBERED;
		if (claim != NAT_TAKEN)
			return true;
	}
	return false;
}

/* The other entry of a flow that has its tuple. */
__outlined enum drop_reason nat_add_forward(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct nat_key key;

	if (!from || !own)
		return DROP_MALFORMED;
	key = nat_key_of(from);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}
