/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is remembered of flows in front of the stack: a look-up in a large hash costs more than all else there, so that
 * a flow's packets ask the maps once in a moment only. A network card gives all packets of one direction of a flow to
 * one CPU, which therefore sees what ends the flow, too.
 */
#pragma once
#include "ct.h"
#include "nat.h"
#include "wrap.h"

/*
 * What changes about routes, neighbours and translations is followed so much later. Of many flows each comes by seldom:
 * 65,536 at 5 million packets a second and CPU do so every 13 ms, and before they are all remembered every 80.
 */
#define STEADY_NS (SECOND / 5)

static __always_inline struct steady *steady_place(const struct tuple *t)
{
	__u32 ports = (__u32)t->source_port << 16 | t->destination_port;
	__u32 place = t->source.words[3] ^ t->source.words[2] ^ t->destination.words[3];

	/* Every bit of both counts for every bit of the place. */
	place = (place * 0x9e3779b1) ^ ports;
	place = (place ^ place >> 16) * 0x7feb352d;
	place = (place ^ place >> 15) * 0x846ca68b;
	place = (place ^ place >> 16) & (steady_flows - 1);
	return bpf_map_lookup_elem(&steady, &place);
}

/* The place of those that find theirs taken: the flow that has it would lose it to them, and they to that. */
static __always_inline struct steady *steady_spare(void)
{
	__u32 place = steady_flows;

	return bpf_map_lookup_elem(&steady, &place);
}

/* Whether a place is of a packet's flow. */
static __always_inline bool steady_is(const struct steady *s, const struct tuple *t)
{
	return address_equal(&s->came.source, &t->source) && address_equal(&s->came.destination, &t->destination) &&
	       s->came.source_port == t->source_port && s->came.destination_port == t->destination_port &&
	       s->came.protocol == t->protocol;
}

/* The tuple that conntrack has of its packets. */
static __always_inline struct tuple steady_flow(const struct steady *s)
{
	bool reply = s->flags & NAT_REPLY, wrapped = s->flags & NAT_DSR && wrap_is_on();

	return (struct tuple){
	    .source = reply || wrapped ? s->came.source : s->source,
	    .destination = reply ? s->came.destination : s->destination,
	    .source_port = reply ? s->came.source_port : s->source_port,
	    .destination_port = reply ? s->came.destination_port : s->destination_port,
	    .protocol = s->came.protocol,
	};
}

/* Tells conntrack what was counted, and forgets the flow's way. */
__outlined int steady_flush(struct steady *s)
{
	struct ct_value *entry;
	struct tuple flow;
	__u64 expires;
	bool from_a;

	if (!s)
		return 0;
	s->until = 0;
	if (!s->packets)
		return 0;
	flow = steady_flow(s);
	from_a = ct_from_a(&flow);
	entry = ct_find(&flow);
	if (ct_live(entry)) {
		__sync_fetch_and_add(from_a ? &entry->packets_a : &entry->packets_b, s->packets);
		__sync_fetch_and_add(from_a ? &entry->bytes_a : &entry->bytes_b, s->bytes);
		expires = bpf_ktime_get_coarse_ns() + ct_lifetime(flow.protocol, entry->flags);
		if (expires > entry->expires)
			entry->expires = expires;
	}
	s->packets = 0;
	s->bytes = 0;
	return 0;
}
