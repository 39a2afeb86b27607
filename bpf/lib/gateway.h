/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way by a gateway. At the pod's node a packet goes to the gateway through the overlay as the pod sent it; at the
 * gateway its flow is given an address there and leaves like that of a pod of its own. What a policy names never leaves
 * past the gateway.
 */
#pragma once
#include "answer.h"
#include "arrive.h"
#include "drop.h"
#include "egress-path.h"
#include "flow.h"
#include "overlay.h"
#include "route.h"
#include "undo.h"

/* What becomes of a packet that a policy sends by a gateway. */
enum gateway_way {
	GATEWAY_NONE, /* no policy does */
	GATEWAY_STACK,
	GATEWAY_SENT,
	GATEWAY_HERE, /* this node is the gateway, and the packet bears no address of it */
	GATEWAY_LONG,
};

/* Whether a packet travels as its flow's first did; an ICMP error goes against the packet that it quotes. */
static __always_inline bool gateway_from_opener(struct __sk_buff *skb, struct packet *p)
{
	struct tuple quoted = {};
	bool opened_by_a = p->ct_flags & CT_ORIGIN_A;

	if (!p->ct_flags)
		return true;
	if (unlikely(p->icmp_error))
		return !icmp_quoted(skb, p, &quoted) || ct_from_a(&quoted) != opened_by_a;
	return ct_from_a(&p->tuple) == opened_by_a;
}

/*
 * This node is the gateway, and the flow bears no address of it: it began when another was. What follows begins it
 * anew; who is outside resets a connection that it does not know. Returns why the packet ends.
 */
__outlined enum drop_reason gateway_restart(const struct packet *p)
{
	struct tuple tuple;
	struct ct_key key;

	if (!p)
		return DROP_MALFORMED;
	if (p->fragment == FRAGMENT_LATER)
		return DROP_FRAGMENT_EARLY;
	tuple = p->tuple;
	if (!p->icmp_error) {
		nat_release(&tuple, 0);
		ct_key_set(&key, &tuple, ct_from_a(&tuple));
		bpf_map_delete_elem(&conntrack, &key);
	}
	return DROP_GATEWAY_MOVED;
}

/* The stack would send what is too long for the overlay out by this node: the pod is told here. */
static __always_inline int gateway_too_long(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();

	drop(skb, p, DROP_TOO_BIG, 0);
	if (!own)
		return TC_ACT_SHOT;
	own->mtu = overlay_mtu;
	if (p->translated && !undo(skb, p))
		return TC_ACT_SHOT;
	return answer_tell(skb, p, own->mtu) ? answer_back(skb, p) : TC_ACT_SHOT;
}

/* Makes the packet one to the gateway through the overlay, which learns from the frame by which policy. */
static __always_inline int gateway_send(struct __sk_buff *skb, struct packet *p, const struct egress_path *path)
{
	struct egress_mark mark = {.mark = bpf_htons(EGRESS_MARK), .policy = bpf_htonl(path->policy)};

	if (!route_set_tunnel(skb, &path->tunnel))
		return -DROP_TUNNEL;
	if (bpf_skb_store_bytes(skb, 0, &mark, sizeof(mark), 0) || !packet_decrement_ttl(skb, p))
		return -DROP_MALFORMED;
	count_forwarded(p, skb->len);
	return GATEWAY_SENT;
}

/* Whether the overlay takes the packet; an underlay of IPv4 fragments around the tunnel what may be fragmented. */
static __always_inline bool gateway_fits(struct __sk_buff *skb, const struct packet *p, const struct egress_path *path)
{
	return route_length(skb, p) <= overlay_mtu || (address_is4(&path->tunnel) && packet_may_fragment(skb, p));
}

/*
 * Finds the way of what a pod sends to somebody who is not on this node, and takes it if it leads to another. Returns
 * it, or less a drop reason.
 */
__outlined int gateway_take(struct __sk_buff *skb, struct packet *p)
{
	struct egress_path_key key = {.prefix_length = EGRESS_WHOLE};
	const struct egress_path *path;

	if (!p)
		return -DROP_MALFORMED;
	key.source = p->tuple.source;
	key.destination = p->tuple.destination;
	path = bpf_map_lookup_elem(&egress_paths, &key);
	if (likely(!path || path->flags & EGRESS_KEPT))
		return GATEWAY_NONE;
	if (!egress_is_outside(&key.destination) || !gateway_from_opener(skb, p))
		return GATEWAY_NONE;
	/* On its last hop it ends here, and the host says so. */
	if (p->ttl <= 1)
		return GATEWAY_STACK;
	if (path->flags)
		return path->flags & EGRESS_UNKNOWN ? -DROP_LABELS_UNKNOWN : -DROP_NO_GATEWAY;
	if (address_is_unspecified6(&path->tunnel))
		return GATEWAY_HERE;
	return gateway_fits(skb, p, path) ? gateway_send(skb, p, path) : GATEWAY_LONG;
}

/* What a pod sends to somebody who is not on this node. TC_ACT_UNSPEC when no policy sends it by a gateway. */
static __always_inline int gateway_leave(struct __sk_buff *skb, struct packet *p)
{
	int way = gateway_take(skb, p);

	if (likely(way == GATEWAY_NONE))
		return TC_ACT_UNSPEC;
	if (way == GATEWAY_SENT)
		return bpf_redirect(overlay_ifindex, 0);
	if (way == GATEWAY_HERE)
		way = -gateway_restart(p);
	if (way < 0)
		return drop(skb, p, (enum drop_reason)(-way), 0);
	return way == GATEWAY_LONG ? gateway_too_long(skb, p) : TC_ACT_OK;
}

/* Whether another node's pod sends the packet by this one. */
static __always_inline bool gateway_is_asked(struct __sk_buff *skb)
{
	return egress_gateway && egress_policy_of(skb);
}

/* What another node's pod sent by this gateway, with its flow known. Out of line for its stack. */
__outlined int gateway_go_on(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();
	int verdict;

	if (!p || !own)
		return TC_ACT_SHOT;
	if (unlikely(!p->translated))
		return drop(skb, p, p->fragment == FRAGMENT_LATER ? DROP_FRAGMENT_EARLY : DROP_NO_GATEWAY, 0);
	/* The stack, which would take it for forged, does not get it. */
	p->scope = SERVICE_OUTSIDE;
	own->mtu = 0;
	verdict = route_away(skb, p);
	if (likely(verdict != TC_ACT_OK))
		return verdict;
	return own->mtu ? arrive_too_long(skb, p, own) : drop(skb, p, DROP_NO_ROUTE, 0);
}
