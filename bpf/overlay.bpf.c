/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The VXLAN device between nodes. overlay_in (ingress) takes what arrives; overlay_out (egress) writes the tunnel key of
 * packets that the host's stack routed here, those of pods carry theirs already.
 */
#include "lib/drop.h"
#include "lib/endpoint.h"
#include "lib/flow.h"
#include "lib/overlay.h"
#include "lib/route.h"

SEC("tc")
int overlay_in(struct __sk_buff *skb)
{
	struct packet p = { .skb = skb, .hook = HOOK_OVERLAY_IN };
	const struct endpoint_value *destination;
	enum drop_reason reason;

	if (unlikely(!overlay_arrived(skb)))
		return drop(&p, DROP_TUNNEL, 0);
	reason = parse_frame(&p);
	if (unlikely(reason))
		return drop(&p, reason, 0);
	reason = parse_ip(&p);
	if (unlikely(reason))
		return drop(&p, reason, 0);
	if (unlikely(overlay_loops(&p)))
		return drop(&p, DROP_LOOP, 0);
	destination = endpoint_of(&p.tuple.destination);
	if (unlikely(!destination))
		return drop(&p, DROP_NO_ENDPOINT, 0);
	overlay_accept(skb);
	if (endpoint_is_host(destination))
		return TC_ACT_OK;
	reason = flow_of(&p);
	if (unlikely(reason))
		return drop(&p, reason, 0);
	return route_to_pod(&p, destination);
}

SEC("tc")
int overlay_out(struct __sk_buff *skb)
{
	struct packet p = { .skb = skb, .hook = HOOK_OVERLAY_OUT };
	const struct ipcache_value *node;
	enum drop_reason reason;

	if (overlay_has_tunnel(skb))
		return TC_ACT_OK;
	reason = parse_frame(&p);
	if (unlikely(reason))
		return drop(&p, reason, 0);
	reason = parse_ip(&p);
	if (unlikely(reason))
		return drop(&p, reason, 0);
	if (unlikely(address_is_group(&p.tuple.destination)))
		return drop_quietly(&p, DROP_MULTICAST);
	node = route_node_of(&p.tuple.destination);
	if (unlikely(!node || !(node->flags & IPCACHE_OVERLAY)))
		return drop(&p, DROP_NO_ROUTE, 0);
	if (unlikely(!route_set_tunnel(&p, &node->tunnel) || !overlay_set_source(&p)))
		return drop(&p, DROP_TUNNEL, 0);
	count_forwarded(&p);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
