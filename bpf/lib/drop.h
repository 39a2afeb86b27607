/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The one exit of dropped packets: counts, reports, and says so to the kernel. */
#pragma once
#include <linux/pkt_cls.h>
#include "events.h"

/* Drops a packet. `rule` is the id of the rule that caused it, 0 for none. */
__outlined int drop(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason, __u32 rule)
{
	if (!p)
		return TC_ACT_SHOT;
	count(METRIC_DROPPED, p->hook, reason, skb->len);
	event_drop(skb, p, reason, rule);
	return TC_ACT_SHOT;
}

/* Drops what is sent all the time and nobody asks about; counted, not reported. */
static __always_inline int drop_quietly(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason)
{
	count(METRIC_DROPPED, p->hook, reason, skb->len);
	return TC_ACT_SHOT;
}

/* Drops what is sent to a group: reported when it was meant for more than the link, where it is all chatter. */
static __always_inline int drop_group(struct __sk_buff *skb, const struct packet *p)
{
	return address_is_routed_group(&p->tuple.destination) ? drop(skb, p, DROP_MULTICAST, 0)
							      : drop_quietly(skb, p, DROP_MULTICAST);
}
