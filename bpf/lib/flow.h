/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a parsed IP header to the packet's flow: transport header, fragments, ICMP errors, conntrack. */
#pragma once
#include "ct.h"
#include "frag.h"
#include "icmp.h"

/* What is not a whole datagram of a flow with ports: fragments and ICMP errors. */
static __outlined enum drop_reason flow_of_others(struct packet *p)
{
	if (p->icmp_error)
		return ct_relate(p);
	if (p->fragment == FRAGMENT_FIRST)
		frag_remember(p);
	else if (frag_recall(p))
		p->tcp_flags = TCP_ACK; /* a continuation changes no state */
	else
		return DROP_NONE;
	return ct_track(p);
}

/* Finds the packet's flow; p->ct_flags tells of it. Returns the reason to drop the packet, or DROP_NONE. */
static __always_inline enum drop_reason flow_of(struct packet *p)
{
	if (likely(p->fragment != FRAGMENT_LATER)) {
		enum drop_reason reason = parse_transport(p);

		if (unlikely(reason))
			return reason;
		icmp_classify(p);
	}
	if (unlikely(p->fragment || p->icmp_error))
		return flow_of_others(p);
	return ct_track(p);
}
