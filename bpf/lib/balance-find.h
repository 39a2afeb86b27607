/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The way of a packet: the translation that its flow has, or for its first one the backend that a service gives it. */
#pragma once
#include "endpoint.h"
#include "maglev.h"
#include "nat-port.h"
#include "service.h"

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
