/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services for packets: what no socket program has translated, and what comes from elsewhere. A flow's first packet is
 * given a backend, all that follow take the same way by the map translations; replies are given the service's address
 * again.
 */
#pragma once
#include "endpoint.h"
#include "maglev.h"
#include "masquerade.h"
#include "nat64.h"
#include "service.h"
#include "timestamp.h"
#include "wrap.h"

/* An address and port that the packet's sender may ask for. */
static __always_inline const struct service_value *balance_service(const struct packet *p)
{
	__u32 family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;
	const struct service_value *service =
	    service_find(&p->tuple.destination, p->tuple.destination_port, p->tuple.protocol, p->scope);
	const struct address *node;

	if (likely(service || !p->dsr) || !node_is(&p->tuple.destination))
		return service;
	/* A node port is the same on the node that sent it on as here. */
	node = bpf_map_lookup_elem(&node_addresses, &family);
	return node ? service_find(node, p->tuple.destination_port, p->tuple.protocol, p->scope) : 0;
}

/* Whether the packet's destination belongs to services alone. */
static __always_inline bool balance_owns(const struct packet *p)
{
	return p->scope != SERVICE_NOBODY && service_find(&p->tuple.destination, 0, 0, p->scope);
}

/*
 * What a backend is to see as source: the client itself where its replies come by this program, which is so for clients
 * on this node and for backends on it; else this node. A pod that gets itself would answer itself past us: it sees the
 * service. Returns whether it may see the client's port too: not where a client of this node may speak to it past the
 * service as well, for both would have one tuple.
 */
static __always_inline bool balance_source(const struct packet *p, struct tuple *to)
{
	__u32 family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;
	const struct address *node;

	if (address_equal(&to->destination, &to->source)) {
		to->source = p->tuple.destination;
		return true;
	}
	if (p->scope == SERVICE_INSIDE)
		return p->tuple.protocol != IPPROTO_TCP;
	if (endpoint_of(&to->destination))
		return true;
	node = bpf_map_lookup_elem(&node_addresses, &family);
	if (node)
		to->source = *node;
	return !nat_port_is_reserved(to->source_port);
}

/*
 * What chooses the backend of a new flow: its tuple, so that every node that sees it chooses the same, or chance.
 */
static __always_inline __u32 balance_number(const struct packet *p, const struct service_value *service)
{
	if (service->flags & SERVICE_BY_FLOW)
		return maglev_hash(&p->tuple);
	return service_number(service, p->tuple.protocol, bpf_get_prandom_u32());
}

/* What a packet's translation is, and whether it has one. */
enum balance_way {
	BALANCE_NONE,
	BALANCE_KNOWN,  /* none, and conntrack knows its flow */
	BALANCE_DIRECT, /* it has been translated by the node that chose its backend */
	BALANCE_FORWARD,
	BALANCE_OPEN,           /* forward, but the entries are to be written yet */
	BALANCE_OPEN_ELSEWHERE, /* and from another source port */
	BALANCE_OPENED,         /* forward, and the entries have just been written */
	BALANCE_REPLY,          /* back to who opened the flow */
};

/* Options go only with packets that have none; in IPv6 in front of a fragment header (RFC 8200 section 4.1). */
static __always_inline bool balance_takes_option(const struct packet *p)
{
	__u32 fragment = p->fragment && p->ethertype == ETH_P_IPV6 ? FRAGMENT_HEADER : 0;

	return p->transport == packet_plain_end(p) + fragment;
}

/*
 * Whether the backend is to answer the client itself: pods of other nodes can, for the datapath there is asked before
 * whatever they send.
 */
static __always_inline bool balance_is_direct(const struct packet *p, const struct service_value *service,
					      const struct address *backend)
{
	if (!dsr_dispatch || !(service->flags & SERVICE_DSR) || p->scope != SERVICE_OUTSIDE || p->dsr)
		return false;
	if (dsr_dispatch == DSR_OPTION && !balance_takes_option(p))
		return false;
	return !endpoint_of(backend) && !node_is(backend);
}

/* The backend that another node has chosen for a service, if it is one. */
static __always_inline const struct backend *balance_given(const struct service_value *service)
{
	struct direct_key key = {.service = service->id};
	struct scratch *own = scratch();

	if (!own)
		return 0;
	key.address = own->direct;
	return bpf_map_lookup_elem(&direct_backends, &key);
}

/*
 * Chooses what a flow that begins with this packet goes on as; `number` chooses its backend. Returns the way, or less a
 * drop reason.
 */
__outlined int balance_begin(const struct packet *p, const struct service_value *service, struct nat_value *next,
			     __u32 number)
{
	struct affinity_key client = {};
	const struct backend *backend;
	struct tuple to;
	bool keeps_port;

	if (!p || !service || !next)
		return -DROP_MALFORMED;
	if (!service_admits(service, &p->tuple.source))
		return -DROP_SOURCE_RANGE;
	client.client = p->tuple.source;
	client.service = service->id;
	backend = p->dsr ? balance_given(service) : service_pick(service, &client, number);
	if (!backend)
		return -DROP_NO_BACKEND;
	to = p->tuple;
	to.destination = backend->address;
	to.destination_port = backend->port;
	if (balance_is_direct(p, service, &to.destination)) {
		nat_value_set(next, &to, backend->id);
		next->flags = NAT_DSR;
		return BALANCE_OPEN;
	}
	keeps_port = balance_source(p, &to);
	nat_value_set(next, &to, backend->id);
	if (p->dsr == PACKET_DSR_FIRST)
		next->flags = NAT_DIRECT;
	return keeps_port ? BALANCE_OPEN : BALANCE_OPEN_ELSEWHERE;
}

/*
 * Whether an entry still holds for a packet: not when it opens a connection and the one before it is over, and of a
 * protocol without connections not when the backend is gone. What another node has sent here is not sent on again.
 */
static __always_inline bool balance_holds(const struct packet *p, const struct nat_value *known)
{
	struct tuple to = nat_tuple(known, p->tuple.protocol);

	if (p->dsr && nat_is_dsr(known))
		return false;
	if (p->tuple.protocol != IPPROTO_TCP)
		return nat_backend_is_there(known);
	if (!packet_opens(p))
		return true;
	/* What a backend says past this node does not show here: that its connection is over may not either. */
	return !nat_is_free(&to) && (!nat_is_dsr(known) || nat_backend_is_there(known));
}

/*
 * Whether an entry for replies holds: not when a flow that nobody translates has the tuple by now, nor for a packet
 * that opens a connection from that side.
 */
static __always_inline bool balance_is_reply(const struct packet *p)
{
	__u32 flags = ct_flags_of(&p->tuple);

	if (!flags || ct_closed(flags))
		return !packet_opens(p);
	return flags & CT_TRANSLATED;
}

/* Whether a flow that nobody translates stays so: one that has been answered, or whose answer this is. */
static __always_inline bool balance_stays(const struct packet *p, const struct ct_value *entry)
{
	bool from_opener = ct_from_a(&p->tuple) == !!(entry->flags & CT_ORIGIN_A);

	return ct_live(entry) && !packet_opens(p) && (entry->flags & CT_REPLIED || !from_opener);
}

/*
 * The way of a packet that has no translation. It takes the tuple of a translated flow that was, and is over, or finds
 * it taken by one that is not: from one port, by a service and past it. Or it is one of that flow, translated already.
 */
static __always_inline int balance_past(const struct packet *p)
{
	const struct ct_value *entry = ct_find(&p->tuple);

	if (!entry)
		return BALANCE_NONE;
	if (!(entry->flags & CT_TRANSLATED))
		return balance_stays(p, entry) ? BALANCE_KNOWN : BALANCE_NONE;
	if (ct_live(entry))
		return entry->flags & CT_DIRECT ? BALANCE_DIRECT : BALANCE_OPEN_ELSEWHERE;
	nat_release(&p->tuple, 0);
	return BALANCE_NONE;
}

/* Finds what a packet goes on as, `next`. Returns the way, or less a drop reason. */
__outlined int balance_find(struct packet *p, struct nat_value *next)
{
	const struct service_value *service;
	const struct nat_value *known;
	struct tuple tuple;
	int way;

	if (!p || !next)
		return -DROP_MALFORMED;
	tuple = p->tuple;
	known = nat_find(&tuple);
	if (known && known->flags & NAT_REPLY) {
		*next = *known;
		return balance_is_reply(p) ? BALANCE_REPLY : BALANCE_NONE;
	}
	if (known && balance_holds(p, known)) {
		*next = *known;
		return BALANCE_FORWARD;
	}
	/* Else what comes after this packet would still go the old way. */
	if (known)
		nat_forget(&tuple);
	service = p->scope == SERVICE_NOBODY ? 0 : balance_service(p);
	if (service) {
		p->silent = !!(service->flags & SERVICE_SILENT);
		return balance_begin(p, service, next, balance_number(p, service));
	}
	if (balance_owns(p))
		return -DROP_SERVICE_PORT;
	way = balance_past(p);
	if (way == BALANCE_OPEN_ELSEWHERE)
		nat_value_set(next, &p->tuple, 0);
	return way;
}

/* A flow whose backend cannot answer past this node, for another of this node's has its tuple, comes back by this one.
 */
static __always_inline enum drop_reason balance_open_here(struct __sk_buff *skb, const struct packet *p,
							  struct nat_value *next)
{
	__u32 family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;
	const struct address *node = bpf_map_lookup_elem(&node_addresses, &family);

	if (!node)
		return DROP_NAT_PORTS;
	next->source = *node;
	next->flags = 0;
	return nat_open(skb, &p->tuple, NAT_OTHER);
}

/*
 * A flow whose packets come translated, and whose tuple another one had that is over: it goes on from another port, and
 * so do those packets. Of one that is not over they could not be told.
 */
static __always_inline enum drop_reason balance_open_moved(struct __sk_buff *skb, const struct packet *p,
							   struct nat_value *next)
{
	enum drop_reason reason;

	if (!nat_bare_is_free(&p->tuple))
		return DROP_NAT_PORTS;
	next->flags = 0;
	reason = nat_open(skb, &p->tuple, NAT_OTHER);
	return reason ? reason : nat_open_bare(&p->tuple);
}

/* Writes the entries of a flow that begins. */
static __always_inline enum drop_reason balance_open(struct __sk_buff *skb, const struct packet *p,
						     struct nat_value *next, int way)
{
	__u32 others = next->flags & (NAT_DSR | NAT_DIRECT) ? 0 : NAT_OTHER;
	enum drop_reason reason = nat_open(skb, &p->tuple, way == BALANCE_OPEN ? NAT_KEEP | others : others);

	if (likely(reason != DROP_NAT_PORTS))
		return reason;
	if (next->flags & NAT_DSR)
		return balance_open_here(skb, p, next);
	return next->flags & NAT_DIRECT ? balance_open_moved(skb, p, next) : reason;
}

/* What tells whether its server takes the packet for a new connection's. */
static __always_inline bool balance_note(struct __sk_buff *skb, const struct packet *p, struct scratch *own)
{
	__be32 sequence = 0;

	own->remembered = 0;
	own->opens = packet_opens(p);
	if (own->opens && bpf_skb_load_bytes(skb, p->transport + 4, &sequence, sizeof(sequence)))
		return false;
	own->sequence = bpf_ntohl(sequence);
	return true;
}

/* Makes a packet what it goes on as; what is sent on as it came only to conntrack. */
static __always_inline bool balance_rewrite(struct __sk_buff *skb, struct packet *p, const struct nat_value *next)
{
	if (unlikely(next->flags & NAT_OTHER_FAMILY))
		return nat64_rewrite(skb, p, next);
	if (!nat_is_dsr(next))
		return nat_rewrite(skb, p, next);
	p->dsr = PACKET_DSR_SENT;
	if (!wrap_is_on())
		return nat_rewrite(skb, p, next);
	p->tuple = nat_tuple(next, p->tuple.protocol);
	return true;
}

/* Whether a packet of a pod of this node leaves the cluster, for nobody's service. */
static __always_inline bool balance_leaves(const struct packet *p)
{
	if (nat64_concerns(p))
		return true;
	return p->scope == SERVICE_INSIDE && masquerade_has(p->ethertype) &&
	       masquerade_is_outside(&p->tuple.destination);
}

/*
 * Writes the entries of a flow that begins with this packet, if it is translated. Returns its way, or less a reason.
 */
static __always_inline int balance_opened(struct __sk_buff *skb, const struct packet *p, struct scratch *own, int way)
{
	bool crosses = way == BALANCE_NONE && nat64_concerns(p);
	enum drop_reason reason;
	__u32 device = 0;

	if (!crosses && p->scope == SERVICE_INSIDE && masquerade_has(p->ethertype)) {
		own->to.destination = way == BALANCE_NONE ? p->tuple.destination : own->forward.destination;
		device = masquerade_way(skb, p, &own->to.destination);
	}
	if (way == BALANCE_NONE && !device && !crosses)
		return way;
	if (way == BALANCE_NONE)
		nat_value_set(&own->forward, &p->tuple, 0);
	if (!balance_note(skb, p, own))
		return -DROP_MALFORMED;
	if (crosses)
		reason = nat64_open(skb, p, own);
	else
		reason = device ? masquerade_open(skb, p, device) : balance_open(skb, p, &own->forward, way);
	return reason ? -(int)reason : BALANCE_OPENED;
}

/*
 * Every packet that is not of a steady flow that nobody translates: finds or makes its translation and its flow.
 * Conntrack knows a translated flow by the side of its backend. What comes from elsewhere and is for nobody's service
 * stays unknown to it: p->translated tells.
 */
__outlined enum drop_reason balance(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();
	enum drop_reason reason = DROP_NONE;
	int way;

	if (!p || !own)
		return DROP_MALFORMED;
	own->mtu = 0;
	way = balance_find(p, &own->forward);
	if (way < 0)
		return (enum drop_reason)(-way);
	if (way <= BALANCE_KNOWN && p->scope == SERVICE_OUTSIDE)
		return DROP_NONE;
	/* What the host's stack answers must be about a packet that the pod knows. */
	if (p->ttl <= 1 && balance_leaves(p))
		return nat64_concerns(p) ? DROP_HOPS : DROP_NONE;
	if (way >= BALANCE_FORWARD && !nat_is_possible(p, &own->forward))
		return DROP_NAT_PROTOCOL;
	if (way >= BALANCE_FORWARD && own->forward.flags & NAT_OTHER_FAMILY)
		reason = nat64_refuses(skb, p);
	if (reason)
		return reason;
	if (way == BALANCE_NONE || way == BALANCE_OPEN || way == BALANCE_OPEN_ELSEWHERE) {
		way = balance_opened(skb, p, own, way);
		if (way < 0)
			return (enum drop_reason)(-way);
		if (way != BALANCE_NONE && unlikely(own->remembered) && !timestamp_strip(skb, p))
			return DROP_MALFORMED;
	}
	if (way >= BALANCE_FORWARD && way != BALANCE_REPLY && !balance_rewrite(skb, p, &own->forward))
		reason = DROP_MALFORMED;
	if (reason)
		return reason;
	p->translated = way > BALANCE_KNOWN;
	reason = way > BALANCE_KNOWN && ct_continue(p, skb->len, CT_TRANSLATED) ? DROP_NONE : ct_track(skb, p);
	if (reason || way != BALANCE_REPLY)
		return reason;
	return balance_rewrite(skb, p, &own->forward) ? DROP_NONE : DROP_MALFORMED;
}
