/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Keeps the conntrack map: run by the daemon through BPF_PROG_TEST_RUN, with a struct ct_expiry as context. */
#include "lib/ct.h"

static __always_inline void report_end(const struct ct_key *key, const struct ct_value *flow)
{
	bool a = flow->flags & CT_ORIGIN_A;
	struct event *e;

	/* The end of a closed flow was reported when it was seen. */
	if (!(flow_events & FLOW_END) || ct_closed(flow->flags))
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(METRIC_EVENTS_LOST, HOOK_EXPIRY, DROP_NONE, 0);
		return;
	}
	*e = (struct event){
	    .time_ns = bpf_ktime_get_ns(),
	    .source = a ? key->a : key->b,
	    .destination = a ? key->b : key->a,
	    .source_port = a ? key->port_a : key->port_b,
	    .destination_port = a ? key->port_b : key->port_a,
	    .protocol = key->protocol,
	    .kind = EVENT_FLOW,
	    .hook = HOOK_EXPIRY,
	    .ethertype = address_is4(&key->a) ? ETH_P_IP : ETH_P_IPV6,
	    .ct_flags = flow->flags,
	    .moment = FLOW_END,
	};
	event_totals(e, flow);
	bpf_ringbuf_submit(e, event_submit_flags());
}

/* Counts a flow for who it was opened to. */
static __always_inline void count_load(const struct ct_key *key, const struct ct_value *flow)
{
	bool from_a = flow->flags & CT_ORIGIN_A;
	struct load_key of = {
	    .address = from_a ? key->b : key->a,
	    .port = from_a ? key->port_b : key->port_a,
	    .protocol = key->protocol,
	};
	struct load *load = bpf_map_lookup_elem(&loads, &of);

	if (load && !ct_closed(flow->flags))
		load->counting++;
}

static long settle_load(void *map, const struct load_key *key, struct load *load, void *context)
{
	(void)map, (void)key, (void)context;
	load->live = load->counting;
	load->counting = 0;
	return 0;
}

/* Marks are made anew in the half that does not hold. */
static long begin_crowd(void *map, const struct crowd_key *key, struct nat_crowd *crowd, void *context)
{
	__u32 other = crowd->half & 1 ? 0 : CROWD_WORDS;

	(void)map, (void)key, (void)context;
	crowd->counting = 0;
	crowd->owners_counting = 0;
	for (__u32 i = 0; i < CROWD_WORDS; i++) {
		crowd->taken[other + i] = 0;
		/* Else clang makes it a call of memset, which there is none of. */
		asm volatile("" ::: "memory");
	}
	return 0;
}

/* Counts a flow for the crowd that it belongs to, and for who opened it. */
static __always_inline void count_in_crowd(const struct ct_key *key, const struct ct_value *flow)
{
	bool a = flow->flags & CT_ORIGIN_A;
	struct scratch *own = scratch();
	const struct nat_value *reply;
	struct nat_crowd *crowd;
	struct share *share;

	if (!own || !(flow->flags & CT_TRANSLATED) || ct_closed(flow->flags))
		return;
	own->to.source = a ? key->a : key->b;
	own->to.destination = a ? key->b : key->a;
	own->to.source_port = a ? key->port_a : key->port_b;
	own->to.destination_port = a ? key->port_b : key->port_a;
	own->to.protocol = key->protocol;
	crowd = crowd_of(&own->to, own);
	if (!crowd || !crowd_mark_half(crowd, bpf_ntohs(own->to.source_port), ~crowd->half & 1))
		return;
	crowd->counting++;
	nat_key_set_against(&own->against, &own->to);
	reply = bpf_map_lookup_elem(&translations, &own->against);
	if (!reply)
		return;
	own->share.owner = reply->destination;
	share = bpf_map_lookup_elem(&crowd_shares, &own->share);
	if (share)
		share->counting++;
	else
		crowd_share_begin(own, 0, 1);
}

static long settle_share(void *map, const struct share_key *key, struct share *share, void *context)
{
	struct crowd_key of = key->crowd;
	struct nat_crowd *crowd = bpf_map_lookup_elem(&nat_crowds, &of);

	(void)context;
	share->ports = share->counting;
	share->counting = 0;
	if (crowd && share->ports)
		crowd->owners_counting++;
	else
		bpf_map_delete_elem(map, key);
	return 0;
}

static long settle_crowd(void *map, const struct crowd_key *key, struct nat_crowd *crowd, void *context)
{
	(void)context;
	crowd->half ^= 1;
	crowd->ports = crowd->counting;
	crowd->owners = crowd->owners_counting;
	for (__u32 i = 0; i < CROWD_GROUPS; i++)
		crowd->full[i] = 0;
	if (crowd->ports < crowd_room(true) / CROWD_LEAST_SHARE)
		bpf_map_delete_elem(map, key);
	return 0;
}

struct expiry {
	bool loads;
	bool crowds;
	__u64 now;
	__u64 live;
	__u64 expired;
	__u64 translations;
};

/* Whether the flow was opened while the address had a holder that has gone since. */
static __always_inline bool opened_before_departure(const struct address *address, const struct ct_value *flow)
{
	const __u64 *left = bpf_map_lookup_elem(&departed, address);

	return left && flow->created <= *left;
}

static long expire_one(void *map, const struct ct_key *key, struct ct_value *flow, struct expiry *expiry)
{
	if (flow->expires > expiry->now && !opened_before_departure(&key->a, flow) &&
	    !opened_before_departure(&key->b, flow)) {
		expiry->live++;
		if (expiry->loads)
			count_load(key, flow);
		if (expiry->crowds)
			count_in_crowd(key, flow);
		return 0;
	}
	report_end(key, flow);
	if (!bpf_map_delete_elem(map, key))
		expiry->expired++;
	return 0;
}

/* What one CPU has written while another looks is young. */
#define NAT_YOUNG (10 * SECOND)

/* The tuple that conntrack has of a translated flow. */
static __always_inline void nat_flow(struct ct_key *flow, const struct nat_key *key, const struct nat_value *value)
{
	struct tuple t = {
	    .source = key->source,
	    .destination = key->destination,
	    .source_port = key->source_port,
	    .destination_port = key->destination_port,
	    .protocol = key->protocol,
	};

	if (!(value->flags & NAT_REPLY)) {
		t.source = value->source;
		t.destination = value->destination;
		t.source_port = value->source_port;
		t.destination_port = value->destination_port;
		t.protocol = nat_protocol(value, key->protocol);
	}
	ct_key_set(flow, &t, ct_from_a(&t));
}

/* An entry goes with its flow. */
static long expire_nat(void *map, const struct nat_key *key, const struct nat_value *value, struct expiry *expiry)
{
	const struct ct_value *entry;
	struct ct_key flow;

	nat_flow(&flow, key, value);
	entry = bpf_map_lookup_elem(&conntrack, &flow);
	if ((entry && entry->flags & CT_TRANSLATED) || value->created + NAT_YOUNG > expiry->now) {
		expiry->translations++;
		return 0;
	}
	bpf_map_delete_elem(map, key);
	return 0;
}

SEC("syscall")
int ct_expire(struct ct_expiry *ctx)
{
	/*
	 * The coarse clock that entries are stamped with shows the same time, at most a tick less; it is not offered
	 * here.
	 */
	struct expiry expiry = {.now = bpf_ktime_get_ns(), .loads = ctx->loads};
	long crowds = bpf_for_each_map_elem(&nat_crowds, begin_crowd, 0, 0);

	expiry.crowds = crowds > 0;
	bpf_for_each_map_elem(&conntrack, expire_one, &expiry, 0);
	if (expiry.loads)
		bpf_for_each_map_elem(&loads, settle_load, 0, 0);
	if (expiry.crowds) {
		bpf_for_each_map_elem(&crowd_shares, settle_share, 0, 0);
		bpf_for_each_map_elem(&nat_crowds, settle_crowd, 0, 0);
	}
	bpf_for_each_map_elem(&translations, expire_nat, &expiry, 0);
	ctx->live = expiry.live;
	ctx->expired = expiry.expired;
	ctx->translations = expiry.translations;
	ctx->crowds = expiry.crowds ? (__u64)crowds : 0;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
