/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The one exit of dropped packets: counts, reports, and says so to the kernel. */
#pragma once
#include <linux/pkt_cls.h>
#include "events.h"

/* Drops a packet. `rule` is the id of the rule or option that caused it, 0 for none. */
__outlined int drop(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason, __u32 rule)
{
	if (!p)
		return TC_ACT_SHOT;
	count(METRIC_DROPPED, p->hook, reason, skb->len);
	event_drop(skb, p, reason, rule);
	return TC_ACT_SHOT;
}

/* Drops what pods send all the time and nobody asks about; counted, not reported. */
static __always_inline int drop_quietly(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason)
{
	count(METRIC_DROPPED, p->hook, reason, skb->len);
	return TC_ACT_SHOT;
}
