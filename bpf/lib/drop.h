/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The one exit of dropped packets: counts, reports, and says so to the kernel. */
#pragma once
#include <linux/pkt_cls.h>
#include "events.h"

/* Drops a packet. `rule` is the id of the rule or option that caused it, 0 for none. */
static __outlined int drop(struct packet *p, enum drop_reason reason, __u32 rule)
{
	count(METRIC_DROPPED, p->hook, reason, p->skb->len);
	event_drop(p, reason, rule);
	return TC_ACT_SHOT;
}

/* Drops what pods send all the time and nobody asks about; counted, not reported. */
static __outlined int drop_quietly(struct packet *p, enum drop_reason reason)
{
	count(METRIC_DROPPED, p->hook, reason, p->skb->len);
	return TC_ACT_SHOT;
}
