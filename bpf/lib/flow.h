/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a parsed IP header to the packet's flow: transport header, fragments, ICMP errors, services, conntrack. */
#pragma once
#include "balance.h"
#include "ct.h"
#include "frag.h"
#include "icmp.h"
#include "related.h"

enum others {
	OTHERS_TRACK = -1, /* its flow is to be found */
	OTHERS_DONE = 0,   /* there is nothing to find; above 0: enum drop_reason */
};

/* A fragment takes the flow of its first one. Returns enum others. */
__outlined int flow_of_fragment(struct packet *p)
{
	if (!p)
		return OTHERS_DONE;
	if (p->fragment == FRAGMENT_FIRST) {
		frag_remember(p);
		return OTHERS_TRACK;
	}
	p->tcp_flags = TCP_ACK; /* a continuation changes no state */
	if (frag_recall(p))
		return OTHERS_TRACK;
	return balance_owns(p) || balance_leaves(p) ? DROP_FRAGMENT_EARLY : OTHERS_DONE;
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

/*
 * Finds the packet's flow, and translates it; p->ct_flags tells of the flow. Returns the reason to drop the packet, or
 * DROP_NONE.
 */
static __always_inline enum drop_reason flow_track(struct __sk_buff *skb, struct packet *p)
{
	int others;

	if (unlikely(p->icmp_error))
		return related(skb, p);
	if (unlikely(p->fragment)) {
		others = flow_of_fragment(p);
		if (others != OTHERS_TRACK)
			return (enum drop_reason)others;
	}
	return likely(ct_continue(p, skb->len, 0)) ? DROP_NONE : balance(skb, p);
}

/* Both of it. */
static __always_inline enum drop_reason flow_of(struct __sk_buff *skb, struct packet *p)
{
	enum drop_reason reason = flow_parse(skb, p);

	return unlikely(reason) ? reason : flow_track(skb, p);
}
