/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a parsed IP header to the packet's flow: transport header, fragments, ICMP errors, conntrack. */
#pragma once
#include "ct.h"
#include "frag.h"
#include "icmp.h"

/*
 * What is not a whole datagram of a flow with ports: an ICMP error takes the flow it quotes, a fragment that of its
 * first one. False when there is nothing to track.
 */
__outlined bool flow_of_others(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return false;
	if (p->icmp_error) {
		ct_relate(skb, p);
		return false;
	}
	if (p->fragment == FRAGMENT_FIRST) {
		frag_remember(p);
		return true;
	}
	p->tcp_flags = TCP_ACK; /* a continuation changes no state */
	return frag_recall(p);
}

/* Reads what tells the packet's flow. Returns the reason to drop the packet, or DROP_NONE. */
static __always_inline enum drop_reason flow_parse(struct __sk_buff *skb, struct packet *p)
{
	enum drop_reason reason;

	if (unlikely(p->fragment == FRAGMENT_LATER))
		return DROP_NONE;
	reason = parse_transport(skb, p);
	if (likely(!reason))
		icmp_classify(p);
	return reason;
}

/* Finds the packet's flow; p->ct_flags tells of it. Returns the reason to drop the packet, or DROP_NONE. */
static __always_inline enum drop_reason flow_track(struct __sk_buff *skb, struct packet *p)
{
	if (unlikely(p->fragment || p->icmp_error) && !flow_of_others(skb, p))
		return DROP_NONE;
	return ct_track(skb, p);
}

/* Both of it. */
static __always_inline enum drop_reason flow_of(struct __sk_buff *skb, struct packet *p)
{
	enum drop_reason reason = flow_parse(skb, p);

	return unlikely(reason) ? reason : flow_track(skb, p);
}
