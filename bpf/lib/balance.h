/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services for packets: what no socket program has translated, and what comes from elsewhere. A flow's first packet is
 * given a backend, all that follow take the same way by the map translations; replies are given the service's address
 * again.
 */
#pragma once
#include "balance-find.h"
#include "egress-path.h"
#include "masquerade.h"
#include "nat64.h"
#include "timestamp.h"
#include "wrap.h"

/* A flow whose backend cannot answer past this node, for another of this node's has its tuple, comes back by this one.
 */
static __always_inline enum drop_reason balance_open_here(struct __sk_buff *skb, const struct packet *p,
							  struct nat_value *next)
{
	__u32 family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;
	const struct address *node = bpf_map_lookup_elem(&node_addresses, &family);

	if (!node)
		return DROP_NAT_PORTS;
	next->source = *node;
	next->flags = 0;
	return nat_open(skb, &p->tuple, NAT_OTHER);
}

/*
 * A flow whose packets come translated, and whose tuple another one had that is over: it goes on from another port, and
 * so do those packets. Of one that is not over they could not be told.
 */
static __always_inline enum drop_reason balance_open_moved(struct __sk_buff *skb, const struct packet *p,
							   struct nat_value *next)
{
	enum drop_reason reason;

	if (!nat_bare_is_free(&p->tuple))
		return DROP_NAT_PORTS;
	next->flags = 0;
	reason = nat_open(skb, &p->tuple, NAT_OTHER);
	return reason ? reason : nat_open_bare(&p->tuple);
}

/* Writes the entries of a flow that begins. */
static __always_inline enum drop_reason balance_open(struct __sk_buff *skb, const struct packet *p,
						     struct nat_value *next, int way)
{
	__u32 others = next->flags & (NAT_DSR | NAT_DIRECT) ? 0 : NAT_OTHER;
	enum drop_reason reason = nat_open(skb, &p->tuple, way == BALANCE_OPEN ? NAT_KEEP | others : others);

	if (likely(reason != DROP_NAT_PORTS))
		return reason;
	if (next->flags & NAT_DSR)
		return balance_open_here(skb, p, next);
	return next->flags & NAT_DIRECT ? balance_open_moved(skb, p, next) : reason;
}

/* What tells whether its server takes the packet for a new connection's. */
static __always_inline bool balance_note(struct __sk_buff *skb, const struct packet *p, struct scratch *own)
{
	__be32 sequence = 0;

	own->remembered = 0;
	own->ingress = nic_flags && p->scope == SERVICE_OUTSIDE && p->hook == HOOK_UPLINK_IN ? skb->ifindex : 0;
	own->opens = packet_opens(p);
	if (own->opens && bpf_skb_load_bytes(skb, p->transport + 4, &sequence, sizeof(sequence)))
		return false;
	own->sequence = bpf_ntohl(sequence);
	return true;
}

/* Makes a packet what it goes on as; what is sent on as it came only to conntrack. */
static __always_inline bool balance_rewrite(struct __sk_buff *skb, struct packet *p, const struct nat_value *next)
{
	if (unlikely(next->flags & NAT_OTHER_FAMILY))
		return nat64_rewrite(skb, p, next);
	if (!nat_is_dsr(next))
		return nat_rewrite(skb, p, next);
	p->dsr = PACKET_DSR_SENT;
	if (!wrap_is_on())
		return nat_rewrite(skb, p, next);
	p->tuple = nat_tuple(next, p->tuple.protocol);
	return true;
}

/* Whether a packet of a pod of this node leaves the cluster, for nobody's service. */
static __always_inline bool balance_leaves(const struct packet *p)
{
	if (nat64_concerns(p))
		return true;
	return p->scope == SERVICE_INSIDE && masquerade_has(p->ethertype) &&
	       masquerade_is_outside(p, &p->tuple.destination);
}

/*
 * Writes the entries of a flow that begins with this packet, if it is translated. Returns its way, or less a reason.
 */
static __always_inline int balance_opened(struct __sk_buff *skb, const struct packet *p, struct scratch *own, int way)
{
	bool crosses = way == BALANCE_NONE && nat64_concerns(p);
	enum drop_reason reason;
	int device = 0;

	own->to.destination = way == BALANCE_NONE ? p->tuple.destination : own->forward.destination;
	if (!crosses && egress_concerns(p))
		device = egress_choose(skb, p);
	if (device < 0)
		return device;
	if (!crosses && !device && p->scope == SERVICE_INSIDE && masquerade_has(p->ethertype))
		device = (int)masquerade_way(skb, p, &own->to.destination);
	if (device == EGRESS_ELSEWHERE)
		device = 0;
	if (way == BALANCE_NONE && !device && !crosses)
		return way;
	if (way == BALANCE_NONE)
		nat_value_set(&own->forward, &p->tuple, 0);
	if (!balance_note(skb, p, own))
		return -DROP_MALFORMED;
	if (crosses)
		reason = nat64_open(skb, p, own);
	else
		reason = device ? masquerade_open(skb, p, (__u32)device) : balance_open(skb, p, &own->forward, way);
	return reason ? -(int)reason : BALANCE_OPENED;
}

/*
 * Every packet that is not of a steady flow that nobody translates: finds or makes its translation and its flow.
 * Conntrack knows a translated flow by the side of its backend. What comes from elsewhere and is for nobody's service
 * stays unknown to it: p->translated tells.
 */
__outlined enum drop_reason balance(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();
	enum drop_reason reason = DROP_NONE;
	int way;

	if (!p || !own)
		return DROP_MALFORMED;
	own->mtu = 0;
	way = balance_find(p, &own->forward);
	if (way < 0)
		return (enum drop_reason)(-way);
	if (way <= BALANCE_KNOWN && p->scope == SERVICE_OUTSIDE)
		return DROP_NONE;
	/* What the host's stack answers must be about a packet that the pod knows. */
	if (p->ttl <= 1 && balance_leaves(p))
		return nat64_concerns(p) ? DROP_HOPS : DROP_NONE;
	if (way >= BALANCE_FORWARD && !nat_is_possible(p, &own->forward))
		return DROP_NAT_PROTOCOL;
	if (way >= BALANCE_FORWARD && own->forward.flags & NAT_OTHER_FAMILY)
		reason = nat64_refuses(skb, p);
	if (reason)
		return reason;
	if (way == BALANCE_NONE || way == BALANCE_OPEN || way == BALANCE_OPEN_ELSEWHERE) {
		way = balance_opened(skb, p, own, way);
		if (way < 0)
			return (enum drop_reason)(-way);
		if (way != BALANCE_NONE && unlikely(own->remembered) && !timestamp_strip(skb, p))
			return DROP_MALFORMED;
	}
	if (nic_flags && way == BALANCE_REPLY)
		p->device = own->forward.ifindex;
	if (way >= BALANCE_FORWARD && way != BALANCE_REPLY && !balance_rewrite(skb, p, &own->forward))
		reason = DROP_MALFORMED;
	if (reason)
		return reason;
	p->translated = way > BALANCE_KNOWN;
	reason = way > BALANCE_KNOWN && ct_continue(p, skb->len, CT_TRANSLATED) ? DROP_NONE : ct_track(skb, p);
	if (reason || way != BALANCE_REPLY)
		return reason;
	return balance_rewrite(skb, p, &own->forward) ? DROP_NONE : DROP_MALFORMED;
}
