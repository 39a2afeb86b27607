/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Policies that send what pods say to somebody outside by gateways: which of them concerns a packet, and which address
 * stands for its sender. The pod's node chooses policy and gateway; it tells the gateway the policy's number, so that
 * the gateway need not have heard of the pod.
 */
#pragma once
#include "endpoint.h"
#include "route.h"

enum {
	/* A gateway of another node gives the flow its address. */
	EGRESS_ELSEWHERE = 0x7fffffff,
	/* The first two bytes of a frame's destination MAC, in front of the policy's number; no pod's device has those.
	 */
	EGRESS_MARK = 0x02e6,
	EGRESS_WHOLE = 256,
};

/* Destination MAC of a frame to a gateway, which the overlay's receiver would otherwise not look at. */
struct egress_mark {
	__be16 mark;
	__be32 policy;
} __attribute__((packed));

/* The number of the policy by which another node sends the packet here; 0 when it does not. */
__outlined __u32 egress_policy_of(struct __sk_buff *skb)
{
	struct egress_mark mark;

	if (bpf_skb_load_bytes(skb, 0, &mark, sizeof(mark)) || mark.mark != bpf_htons(EGRESS_MARK))
		return 0;
	return bpf_ntohl(mark.policy);
}

/* Whether the first packet of a flow may be one that leaves by a gateway: a pod's, or one that came to this gateway. */
static __always_inline bool egress_concerns(const struct packet *p)
{
	return egress_gateway &&
	       (p->scope == SERVICE_INSIDE || (p->scope == SERVICE_NOBODY && p->hook == HOOK_OVERLAY_IN));
}

/* Whether who has an address, which must not be a global function's argument, is neither on this node nor another. */
static __always_inline bool egress_is_outside(const struct address *address)
{
	return !route_stays_on_link(address) && !endpoint_of(address) && !node_of(address);
}

/*
 * What stands for the sender of a packet whose flow begins, and goes on to the scratch's `to.destination`: a set of
 * addresses in egress_addresses, EGRESS_ELSEWHERE, 0 when no policy names it, or less a drop reason. An answer begins
 * no flow.
 */
__outlined int egress_choose(struct __sk_buff *skb, const struct packet *p)
{
	struct egress_path_key key = {.prefix_length = EGRESS_WHOLE};
	struct scratch *own = scratch();
	const struct egress_path *path;

	if (!p || !own)
		return -DROP_MALFORMED;
	if (p->tuple.protocol == IPPROTO_TCP && p->tcp_flags & TCP_SYN && p->tcp_flags & TCP_ACK)
		return 0;
	key.destination = own->to.destination;
	if (p->hook == HOOK_OVERLAY_IN)
		key.source.words[3] = bpf_htonl(egress_policy_of(skb));
	else
		key.source = p->tuple.source;
	path = bpf_map_lookup_elem(&egress_paths, &key);
	if (likely(!path || path->flags & EGRESS_KEPT || !egress_is_outside(&key.destination)))
		return 0;
	if (path->flags)
		return path->flags & EGRESS_UNKNOWN ? -DROP_LABELS_UNKNOWN : -DROP_NO_GATEWAY;
	return address_is_unspecified6(&path->tunnel) ? (int)path->device : EGRESS_ELSEWHERE;
}
