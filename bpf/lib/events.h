/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Counters and the ring buffer. Drops are always reported, within a budget per CPU; moments of flows as configured.
 * What could not be reported is counted.
 */
#pragma once
#include "config.h"
#include "maps.h"
#include "parse.h"

static __always_inline void metric_add(struct metric_value *value, __u32 bytes)
{
	value->packets++;
	value->bytes += bytes;
}

/* Counts what happens seldom. */
__outlined int count(__u8 kind, __u8 hook, __u8 reason, __u32 bytes)
{
	struct metric_key key = {.kind = kind, .hook = hook, .reason = reason};
	struct metric_value first = {.packets = 1, .bytes = bytes};
	struct metric_value *value = bpf_map_lookup_elem(&metrics, &key);

	if (value)
		metric_add(value, bytes);
	else
		bpf_map_update_elem(&metrics, &key, &first, BPF_NOEXIST);
	return 0;
}

/* Counts a packet that is sent on. */
static __always_inline void count_forwarded(const struct packet *p, __u32 bytes)
{
	__u32 hook = p->hook;
	struct metric_value *value = bpf_map_lookup_elem(&forwarded, &hook);

	if (value)
		metric_add(value, bytes);
}

/* Takes one from a budget of this CPU; `which` is an enum budget_kind. */
static __always_inline bool budget_take(__u32 which, __u32 per_second, __u32 burst, __u64 now)
{
	struct event_budget *budget = bpf_map_lookup_elem(&event_budgets, &which);
	__u64 interval, earned;

	if (!budget || !per_second)
		return false;
	if (!budget->refilled_ns) {
		budget->refilled_ns = now;
		budget->tokens = burst;
	}
	interval = SECOND / per_second;
	earned = (now - budget->refilled_ns) / interval;
	if (earned) {
		budget->refilled_ns += earned * interval;
		budget->tokens += earned;
		if (budget->tokens > burst)
			budget->tokens = burst;
	}
	if (!budget->tokens)
		return false;
	budget->tokens--;
	return true;
}

static __always_inline bool event_budget_take(__u64 now)
{
	return budget_take(BUDGET_DROP_EVENTS, drop_events_per_second, drop_events_burst, now);
}

static __always_inline void event_describe(struct event *e, struct __sk_buff *skb, const struct packet *p, __u64 now)
{
	*e = (struct event){
	    .time_ns = now,
	    .source = p->tuple.source,
	    .destination = p->tuple.destination,
	    .source_port = p->tuple.source_port,
	    .destination_port = p->tuple.destination_port,
	    .protocol = p->tuple.protocol,
	    .tcp_flags = p->tcp_flags,
	    .hook = p->hook,
	    .ethertype = p->ethertype,
	    .ifindex = skb->ifindex,
	    .length = skb->len,
	    .ct_flags = p->ct_flags,
	};
	if (p->tuple.protocol == IPPROTO_ICMP || p->tuple.protocol == IPPROTO_ICMPV6) {
		e->source_port = bpf_htons(p->icmp_type);
		e->destination_port = bpf_htons(p->icmp_code);
	}
}

static __always_inline void event_drop(struct __sk_buff *skb, const struct packet *p, enum drop_reason reason,
				       __u32 rule)
{
	__u64 now = bpf_ktime_get_ns();
	struct event *e;

	if (!event_budget_take(now)) {
		count(METRIC_EVENTS_LOST, p->hook, reason, skb->len);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(METRIC_EVENTS_LOST, p->hook, DROP_NONE, skb->len);
		return;
	}
	event_describe(e, skb, p, now);
	e->kind = EVENT_DROP;
	e->reason = reason;
	e->rule = rule;
	bpf_ringbuf_submit(e, event_batch_bytes ? BPF_RB_FORCE_WAKEUP : 0);
}

/*
 * Flags to submit a flow event with: waking the reader costs ten times more than the event. It is woken when what it
 * has not read passes a multiple of the batch, not for each event from then on: it may be on its way already, or
 * reading by the clock. Some CPUs may step over the mark at once, hence a few events that count as passing it.
 */
static __always_inline __u64 event_submit_flags(void)
{
	const __u32 passing = 8 * sizeof(struct event);
	__u64 unread;

	if (!event_batch_bytes)
		return 0;
	unread = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	return unread >= event_batch_bytes && unread % event_batch_bytes < passing ? BPF_RB_FORCE_WAKEUP
										   : BPF_RB_NO_WAKEUP;
}

/* What a flow event tells of the flow's counters. */
static __always_inline void event_totals(struct event *e, const struct ct_value *flow)
{
	bool a = flow->flags & CT_ORIGIN_A;

	e->packets = a ? flow->packets_a : flow->packets_b;
	e->bytes = a ? flow->bytes_a : flow->bytes_b;
	e->reply_packets = a ? flow->packets_b : flow->packets_a;
	e->reply_bytes = a ? flow->bytes_b : flow->bytes_a;
}

/* Reports a moment of a flow, seen at this packet. */
__outlined int event_flow(struct __sk_buff *skb, const struct packet *p, const struct ct_value *flow, __u32 moment,
			  bool reply)
{
	struct event *e;

	if (!p || !flow || !(flow_events & moment))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(METRIC_EVENTS_LOST, p->hook, DROP_NONE, skb->len);
		return 0;
	}
	event_describe(e, skb, p, bpf_ktime_get_ns());
	e->kind = EVENT_FLOW;
	e->moment = flow_events & moment;
	e->reply = reply;
	e->ct_flags = flow->flags;
	event_totals(e, flow);
	bpf_ringbuf_submit(e, event_submit_flags());
	return 0;
}
