/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What arrives from elsewhere for no pod: services at the node's addresses and at those that a load balancer sends
 * here, and the answers of backends that are on other nodes. Everything else is the host's own.
 */
#pragma once
#include "answer.h"
#include "drop.h"
#include "dsr.h"
#include "flow.h"
#include "route.h"
#include "undo.h"

/*
 * Whether a service can be meant, or an answer for a pod: by protocol, and by not being what carries the packets of
 * pods. What services do not have may only be such an answer.
 */
static __always_inline bool arrive_concerns(const struct packet *p)
{
	if (p->tuple.protocol == IPPROTO_UDP)
		return !overlay_port || p->tuple.destination_port != bpf_htons(overlay_port);
	return p->tuple.protocol == IPPROTO_TCP || p->tuple.protocol == IPPROTO_SCTP ||
	       ((masquerade_flags || egress_gateway) && nat_find(&p->tuple));
}

/* Whether the packet has ports, which for a later fragment its first one told. */
static __always_inline bool arrive_has_ports(struct packet *p)
{
	if (p->fragment == FRAGMENT_LATER) {
		p->tcp_flags = TCP_ACK;
		return frag_recall(p);
	}
	if (!arrive_concerns(p))
		return false;
	if (p->fragment == FRAGMENT_FIRST)
		frag_remember(p);
	return true;
}

/*
 * What the way to a backend or client elsewhere does not take, its sender is told, as the one it knows. The stack would
 * take what bears this node's address, or a service's, for forged; what bears its sender's it may fragment.
 */
static __always_inline int arrive_too_long(struct __sk_buff *skb, struct packet *p, struct scratch *own)
{
	if (p->dsr == PACKET_DSR_SENT && dsr_dispatch == DSR_OPTION && packet_may_fragment(skb, p))
		return TC_ACT_OK;
	drop(skb, p, DROP_TOO_BIG, 0);
	return undo(skb, p) && answer_tell(skb, p, own->mtu) ? answer_back(skb, p) : TC_ACT_SHOT;
}

/* Sends a translated packet on to where it now belongs; for a backend that is the node itself, `stack` is the verdict.
 */
static __always_inline int arrive_go_on(struct __sk_buff *skb, struct packet *p)
{
	const struct endpoint_value *destination = endpoint_of(&p->tuple.destination);
	struct scratch *own = scratch();
	int verdict;

	if (destination)
		return endpoint_is_host(destination) ? TC_ACT_OK : route_to_pod(skb, p, destination);
	if (!own || (p->dsr == PACKET_DSR_SENT && !dsr_prepare(skb, p)))
		return drop(skb, p, DROP_MALFORMED, 0);
	own->mtu = 0;
	verdict = route_away(skb, p);
	if (verdict == TC_ACT_REDIRECT && wrap_awaits(p) && !dsr_wrap(skb, p))
		return drop(skb, p, DROP_MALFORMED, 0);
	if (likely(verdict != TC_ACT_OK))
		return verdict;
	if (own->mtu)
		return arrive_too_long(skb, p, own);
	if (!answer_is_late(p))
		return drop(skb, p, DROP_NO_ROUTE, 0);
	/* Who is told knows the connection as it came. */
	drop(skb, p, DROP_NO_ENDPOINT, 0);
	return undo(skb, p) && answer_refuse(skb, p) ? answer_back(skb, p) : TC_ACT_SHOT;
}

/* Finds the translation of a packet, p->translated, if it has one. */
static __always_inline enum drop_reason arrive_translate(struct __sk_buff *skb, struct packet *p)
{
	if (p->icmp_error)
		return related(skb, p);
	if (arrive_has_ports(p))
		return balance(skb, p);
	return p->fragment == FRAGMENT_LATER && balance_owns(p) ? DROP_FRAGMENT_EARLY : DROP_NONE;
}

/* The destination of a packet if that is a pod, and no other node has sent the packet on for a service. */
static __always_inline enum drop_reason arrive_destination(struct __sk_buff *skb, struct packet *p,
							   const struct endpoint_value **destination)
{
	enum drop_reason reason = DROP_NONE;

	*destination = endpoint_of(&p->tuple.destination);
	if (likely(!*destination || endpoint_is_host(*destination) || !dsr_concerns(skb, p)))
		return DROP_NONE;
	reason = dsr_accept(skb, p);
	if (p->dsr)
		*destination = 0;
	return reason;
}

/* Takes a packet that is for no pod. TC_ACT_UNSPEC when it is the host's, untouched. */
static __always_inline int arrive(struct __sk_buff *skb, struct packet *p)
{
	enum drop_reason reason;

	/* On its last hop it ends here, and the host says so. */
	if (p->ttl <= 1 && !p->dsr)
		return TC_ACT_UNSPEC;
	p->scope = SERVICE_OUTSIDE;
	if (p->fragment != FRAGMENT_LATER && flow_parse(skb, p))
		return p->dsr ? drop(skb, p, DROP_MALFORMED, 0) : TC_ACT_UNSPEC;
	if (unlikely(answer_is_echo(p)) && balance_owns(p))
		return answer_echo(skb, p);
	reason = arrive_translate(skb, p);
	if (reason)
		return answer_drop(skb, p, reason);
	if (p->translated)
		return arrive_go_on(skb, p);
	if (p->dsr)
		return drop(skb, p, DROP_DSR, 0);
	return unlikely(answer_is_late(p)) ? answer_late(skb, p) : TC_ACT_UNSPEC;
}

/* Whether a socket of the node has taken the port that a pod's flow has for the same destination. */
static __always_inline bool depart_collides(const struct packet *p)
{
	const struct ct_value *entry;

	if ((!masquerade_flags && !egress_gateway) || (p->tuple.protocol != IPPROTO_UDP && !packet_opens(p)))
		return false;
	entry = ct_find(&p->tuple);
	return ct_live(entry) && entry->flags & CT_TRANSLATED;
}

/*
 * What the host sends: answers and errors of services that it serves itself are given the service's address again, and
 * what a pod's flow has the tuple of goes from another port.
 */
static __always_inline int depart(struct __sk_buff *skb, struct packet *p)
{
	enum drop_reason reason;

	if (p->fragment != FRAGMENT_LATER && flow_parse(skb, p))
		return TC_ACT_UNSPEC;
	if (!p->icmp_error && !(arrive_has_ports(p) && (nat_find(&p->tuple) || depart_collides(p))))
		return TC_ACT_UNSPEC;
	reason = p->icmp_error ? related(skb, p) : balance(skb, p);
	return reason ? drop(skb, p, reason, 0) : TC_ACT_UNSPEC;
}
