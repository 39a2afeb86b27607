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

/* What changes about routes, neighbours and translations is followed so much later. */
#define STEADY_NS (SECOND / 5)
/* Of a flow that has sent nothing for so long everything is asked anew. */
#define STEADY_IDLE_NS (10 * SECOND)

static __always_inline struct steady_set *steady_at(__u32 set)
{
	__u32 place = bpf_get_smp_processor_id() * (steady_sets + 1) + set;

	return bpf_map_lookup_elem(&steady, &place);
}

/* A number of a packet's flow, every bit of which depends on every bit of its ports and of what addresses differ in. */
static __always_inline __u32 steady_number(const struct tuple *t)
{
	__u32 ports = (__u32)t->source_port << 16 | t->destination_port;
	__u32 number = t->source.words[3] ^ t->source.words[2] ^ t->destination.words[3];

	number = (number * 0x9e3779b1) ^ ports;
	number = (number ^ number >> 16) * 0x7feb352d;
	number = (number ^ number >> 15) * 0x846ca68b;
	return number ^ number >> 16;
}

/* The flows among which the number's own is, if it is known. */
static __always_inline struct steady_set *steady_set_of(__u32 number)
{
	return steady_at(number & (steady_sets - 1));
}

/*
 * The ways of a set in the order in which they are looked at: each number begins with one of its own, so that most
 * flows are found at once, by loads that wait for nothing.
 */
static __always_inline struct steady *steady_way(struct steady_set *set, __u32 number, __u32 i)
{
	return &set->ways[((number >> 24) + i) % STEADY_WAYS];
}

static __always_inline bool steady_is(const struct steady *s, const struct tuple *t)
{
	return s->came.source_port == t->source_port && s->came.destination_port == t->destination_port &&
	       address_equal(&s->came.source, &t->source) && address_equal(&s->came.destination, &t->destination) &&
	       s->came.protocol == t->protocol;
}

static __always_inline struct steady *steady_find(struct steady_set *set, __u32 number, const struct tuple *t)
{
	for (__u32 i = 0; i < STEADY_WAYS; i++) {
		struct steady *s = steady_way(set, number, i);

		if (steady_is(s, t))
			return s;
	}
	return 0;
}

/*
 * Room for a flow that is not known. Who finds it taken gets what is nobody's for long: a flow that has its place would
 * lose it to them, and they to that.
 */
static __always_inline struct steady *steady_room(struct steady_set *set, __u32 number, __u64 now)
{
	struct steady_set *spare;

	for (__u32 i = 0; i < STEADY_WAYS; i++) {
		struct steady *s = steady_way(set, number, i);

		if (s->until <= now)
			return s;
	}
	spare = steady_at(steady_sets);
	return spare ? &spare->ways[0] : 0;
}

/* What its packets go on as; those that are wrapped, within what. */
static __always_inline struct tuple steady_next(const struct steady *s)
{
	return (struct tuple){
	    .source = s->source,
	    .destination = s->destination,
	    .source_port = s->source_port,
	    .destination_port = s->destination_port,
	    .protocol = s->came.protocol,
	};
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

/* Tells conntrack what was counted. Returns whether it still knows the flow as a steady one. */
__outlined bool steady_tell(struct steady *s)
{
	struct ct_value *entry;
	struct tuple flow;
	__u64 expires;
	bool from_a;

	if (!s)
		return false;
	flow = steady_flow(s);
	from_a = ct_from_a(&flow);
	entry = ct_find(&flow);
	if (!ct_live(entry))
		return false;
	__sync_fetch_and_add(from_a ? &entry->packets_a : &entry->packets_b, s->packets);
	__sync_fetch_and_add(from_a ? &entry->bytes_a : &entry->bytes_b, s->bytes);
	s->packets = 0;
	s->bytes = 0;
	expires = bpf_ktime_get_coarse_ns() + ct_lifetime(flow.protocol, entry->flags);
	if (expires > entry->expires)
		entry->expires = expires;
	return (entry->flags & CT_STEADY_MASK) == (CT_ESTABLISHED | CT_TRANSLATED);
}

/* Forgets a flow's way, and what could not be told of it. */
static __always_inline void steady_end(struct steady *s)
{
	if (s->packets)
		steady_tell(s);
	s->until = 0;
	s->packets = 0;
	s->bytes = 0;
}
