/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connection tracking: one entry for both directions of a flow. A packet of a flow in its steady state costs one
 * lookup; everything that opens, changes or ends a flow is out of line. Nothing is refused for its sequence numbers:
 * conntrack remembers which way a flow came and counts it, the ends judge what is theirs.
 */
#pragma once
#include <linux/errno.h>
#include "config.h"
#include "events.h"
#include "maps.h"
#include "nat-crowd.h"
#include "parse.h"

enum {
	TCP_STATE_FLAGS = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK,
	CT_FIN_BOTH = CT_FIN_A | CT_FIN_B,
	/* Of a steady flow only CT_ESTABLISHED is set, and CT_TRANSLATED where it is. */
	CT_STEADY_MASK = CT_ESTABLISHED | CT_FIN_BOTH | CT_RST | CT_TRANSLATED,
};

/* True when the sender is the entry's side a: the smaller address, then the smaller port. */
static __always_inline bool ct_from_a(const struct tuple *t)
{
	__u64 source = address_high(&t->source), destination = address_high(&t->destination);

	if (source == destination) {
		source = address_low(&t->source);
		destination = address_low(&t->destination);
	}
	if (unlikely(source == destination))
		return bpf_ntohs(t->source_port) <= bpf_ntohs(t->destination_port);
	return source < destination;
}

static __always_inline void ct_key_set(struct ct_key *key, const struct tuple *t, bool from_a)
{
	key->a = from_a ? t->source : t->destination;
	key->b = from_a ? t->destination : t->source;
	key->port_a = from_a ? t->source_port : t->destination_port;
	key->port_b = from_a ? t->destination_port : t->source_port;
	key->protocol = t->protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* A FIN from both sides, or a RST. */
static __always_inline bool ct_closed(__u32 flags)
{
	return flags & CT_RST || (flags & CT_FIN_BOTH) == CT_FIN_BOTH;
}

/* How long a server remembers a connection that it has closed first: TIME-WAIT, always a minute on Linux. */
#define CT_TIME_WAIT_NS (60 * SECOND)

/*
 * How long a connection that is over is kept. A server that remembers one of a translated flow would hold the next one
 * of that tuple, which may be somebody else's, to its clock and sequence numbers.
 */
static __always_inline __u64 ct_closed_lifetime(__u32 flags)
{
	bool waits = (flags & (CT_WAITS | CT_TRANSLATED | CT_RST)) == (CT_WAITS | CT_TRANSLATED);

	return waits && ct_tcp_closed_ns < CT_TIME_WAIT_NS ? CT_TIME_WAIT_NS : ct_tcp_closed_ns;
}

/* How long a flow in this state is kept after its last packet. */
static __always_inline __u64 ct_lifetime(__u8 protocol, __u32 flags)
{
	switch (protocol) {
	case IPPROTO_TCP:
		if (ct_closed(flags))
			return ct_closed_lifetime(flags);
		if (flags & CT_FIN_BOTH)
			return ct_tcp_closing_ns;
		return flags & CT_ESTABLISHED ? ct_tcp_established_ns : ct_tcp_opening_ns;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return flags & CT_ESTABLISHED ? ct_udp_ns : ct_udp_opening_ns;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return ct_icmp_ns;
	default:
		return ct_other_ns;
	}
}

static __always_inline void ct_count(struct ct_value *entry, __u32 bytes, bool from_a)
{
	if (from_a) {
		entry->packets_a++;
		entry->bytes_a += bytes;
	} else {
		entry->packets_b++;
		entry->bytes_b += bytes;
	}
}

/* Flags of a new flow. A first packet that can only be an answer was sent by the side that did not open. */
static __always_inline __u32 ct_opening_flags(const struct packet *p, bool from_a)
{
	__u32 flags = (p->hook == HOOK_POD_IN ? CT_VIA_STACK : 0) | (p->translated ? CT_TRANSLATED : 0) |
		      (p->dsr == PACKET_DSR_SENT ? CT_ONE_WAY : 0) | (p->dsr == PACKET_DSR_FIRST ? CT_DIRECT : 0);
	bool origin_a = from_a;

	if (p->tuple.protocol == IPPROTO_TCP && !packet_opens(p)) {
		flags |= CT_PICKED_UP | CT_REPLIED;
		if (p->tcp_flags & TCP_SYN)
			origin_a = !from_a;
		else
			flags |= CT_ESTABLISHED;
		if (p->tcp_flags & TCP_FIN)
			flags |= from_a ? CT_FIN_A : CT_FIN_B;
	}
	return flags | (origin_a ? CT_ORIGIN_A : 0);
}

/* Makes an entry, or makes one anew where a void or closed one stands: `old`, else null. */
static __always_inline enum drop_reason ct_open(struct __sk_buff *skb, struct packet *p, const struct ct_key *key,
						const struct ct_value *old, bool from_a)
{
	struct scratch *own = scratch();
	struct ct_value *value;
	long error;

	if (!own)
		return DROP_MALFORMED;
	value = &own->flow;
	*value = (struct ct_value){.created = bpf_ktime_get_coarse_ns(), .flags = ct_opening_flags(p, from_a)};
	/* Void, but expiry has not come by yet to tell of it. */
	if (old && !ct_closed(old->flags))
		event_flow(skb, p, old, FLOW_END, from_a != !!(old->flags & CT_ORIGIN_A));
	p->ct_flags = value->flags;
	value->expires = value->created + ct_lifetime(p->tuple.protocol, value->flags);
	ct_count(value, skb->len, from_a);
	error = bpf_map_update_elem(&conntrack, key, value, old ? BPF_ANY : BPF_NOEXIST);
	if (likely(!error)) {
		event_flow(skb, p, value, FLOW_FIRST, from_a != !!(value->flags & CT_ORIGIN_A));
		return DROP_NONE;
	}
	/* Another CPU made it at the same moment; its entry is as good. */
	if (error == -EEXIST)
		return DROP_NONE;
	count(METRIC_CT_FULL, p->hook, DROP_NONE, skb->len);
	return ct_full_drops ? DROP_CT_FULL : DROP_NONE;
}

/* Flags this packet adds to its flow. */
static __always_inline __u32 ct_gained_flags(const struct packet *p, __u32 flags, bool from_a)
{
	bool reply = from_a != !!(flags & CT_ORIGIN_A);
	__u32 gained = reply ? CT_REPLIED : 0;

	/* Whatever opened the entry (an answer, a flow before this one), what came through the stack is answered so. */
	if (p->hook == HOOK_POD_IN && !reply)
		gained |= CT_VIA_STACK;
	if (p->tuple.protocol != IPPROTO_TCP)
		return (gained | (reply || flags & CT_ONE_WAY ? CT_ESTABLISHED : 0)) & ~flags;
	/* Where no reply is seen the opener's word is all there is. */
	if (!reply && flags & (CT_REPLIED | CT_ONE_WAY) && (p->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK)
		gained |= CT_ESTABLISHED;
	if (p->tcp_flags & TCP_FIN) {
		gained |= from_a ? CT_FIN_A : CT_FIN_B;
		if (reply && !(flags & CT_FIN_BOTH))
			gained |= CT_WAITS;
	}
	if (p->tcp_flags & TCP_RST)
		gained |= CT_RST;
	return gained & ~flags;
}

/* The sequence number behind a segment, its FIN included. */
static __always_inline __u32 ct_segment_end(struct __sk_buff *skb, const struct packet *p)
{
	struct {
		__be32 sequence, acknowledged;
		__be16 flags; /* the header's length above them */
	} tcp;

	if (bpf_skb_load_bytes(skb, p->transport + 4, &tcp, 10))
		return 0;
	return bpf_ntohl(tcp.sequence) + packet_segment_length(p, tcp.flags);
}

/* The port of a translated flow that is over is free. */
static __always_inline void ct_give_back(const struct packet *p, bool from_a)
{
	struct scratch *own = scratch();

	if (!own || !(p->ct_flags & CT_TRANSLATED))
		return;
	own->to = p->tuple;
	if (from_a != !!(p->ct_flags & CT_ORIGIN_A)) {
		own->to.source = p->tuple.destination;
		own->to.destination = p->tuple.source;
		own->to.source_port = p->tuple.destination_port;
		own->to.destination_port = p->tuple.source_port;
	}
	crowd_leave(&own->to);
}

/* Carries an entry into its next state. */
static __always_inline void ct_advance(struct __sk_buff *skb, struct packet *p, struct ct_value *entry, bool from_a)
{
	__u32 before = entry->flags;
	__u32 gained = ct_gained_flags(p, before, from_a);
	__u32 moment = 0;

	ct_count(entry, skb->len, from_a);
	/*
	 * Both directions may be on the way on two CPUs: neither may lose the other's flag, and the second of two FINs
	 * must know of the first.
	 */
	if (gained)
		before = __sync_fetch_and_or(&entry->flags, gained);
	p->ct_flags = before | gained;
	if (unlikely(p->tcp_flags & TCP_FIN) && before & CT_WAITS && from_a == !!(before & CT_ORIGIN_A))
		entry->end = ct_segment_end(skb, p);
	entry->expires = bpf_ktime_get_coarse_ns() + ct_lifetime(p->tuple.protocol, p->ct_flags);
	if (gained & CT_REPLIED & ~before)
		moment |= FLOW_REPLY;
	if (ct_closed(p->ct_flags) && !ct_closed(before)) {
		moment |= FLOW_END;
		ct_give_back(p, from_a);
	}
	if (moment)
		event_flow(skb, p, entry, moment, from_a != !!(before & CT_ORIGIN_A));
}

/* Whether the entry stands for a flow now. */
static __always_inline bool ct_live(const struct ct_value *entry)
{
	return entry && entry->expires > bpf_ktime_get_coarse_ns();
}

/* Flag combinations no TCP sends (RFC 9293 section 3.10): neither SYN, ACK, FIN nor RST; SYN with FIN or RST. */
static __always_inline bool ct_tcp_nonsense(__u8 tcp_flags)
{
	return !(tcp_flags & TCP_STATE_FLAGS) || ((tcp_flags & TCP_SYN) && (tcp_flags & (TCP_FIN | TCP_RST)));
}

/*
 * Every packet that is not of a steady flow. Out of line, so that the common way stays short; not of global linkage,
 * which before Linux 6.8 would take neither the key nor the entry.
 */
static __attribute__((noinline)) enum drop_reason ct_change(struct __sk_buff *skb, struct packet *p,
							    const struct ct_key *key, struct ct_value *entry)
{
	bool tcp = p->tuple.protocol == IPPROTO_TCP;
	bool from_a = ct_from_a(&p->tuple);

	if (tcp && ct_tcp_nonsense(p->tcp_flags))
		return DROP_CT_INVALID;
	if (ct_live(entry) && !(packet_opens(p) && ct_closed(entry->flags))) {
		ct_advance(skb, p, entry, from_a);
		return DROP_NONE;
	}
	/* A reset ends a flow, it never begins one. */
	if (tcp && p->tcp_flags & TCP_RST)
		return DROP_NONE;
	return ct_open(skb, p, key, entry, from_a);
}

/* The entry of a tuple's flow, of either direction. */
static __always_inline struct ct_value *ct_find(const struct tuple *t)
{
	struct ct_key key;

	ct_key_set(&key, t, ct_from_a(t));
	return bpf_map_lookup_elem(&conntrack, &key);
}

/* The flags of a tuple's flow; 0 when there is none. */
__outlined __u32 ct_flags_of(const struct tuple *t)
{
	const struct ct_value *entry = t ? ct_find(t) : 0;

	return ct_live(entry) ? entry->flags : 0;
}

/*
 * Counts a packet of a steady flow and leaves its flags in p->ct_flags. False when it is of none, or of one that is
 * translated while this is not expected, or the other way round: `expected` is CT_TRANSLATED or 0.
 */
static __always_inline bool ct_continue(struct packet *p, __u32 bytes, __u32 expected)
{
	bool from_a = ct_from_a(&p->tuple);
	struct ct_value *entry;
	struct ct_key key;
	__u64 now, expires;

	ct_key_set(&key, &p->tuple, from_a);
	entry = bpf_map_lookup_elem(&conntrack, &key);
	now = bpf_ktime_get_coarse_ns();
	if (unlikely(!entry || (entry->flags & CT_STEADY_MASK) != (CT_ESTABLISHED | expected) || entry->expires <= now))
		return false;
	if (p->tuple.protocol == IPPROTO_TCP && (p->tcp_flags & TCP_STATE_FLAGS) != TCP_ACK)
		return false;
	ct_count(entry, bytes, from_a);
	p->ct_flags = entry->flags;
	expires = now + ct_lifetime(p->tuple.protocol, CT_ESTABLISHED);
	/* Moved in steps: a line that is only read stays with all CPUs. */
	if (expires - entry->expires > SECOND)
		entry->expires = expires;
	return true;
}

/* Finds or makes the packet's flow, whatever its state, and leaves its flags in p->ct_flags. */
static __always_inline enum drop_reason ct_track(struct __sk_buff *skb, struct packet *p)
{
	struct ct_key key;

	ct_key_set(&key, &p->tuple, ct_from_a(&p->tuple));
	return ct_change(skb, p, &key, bpf_map_lookup_elem(&conntrack, &key));
}
