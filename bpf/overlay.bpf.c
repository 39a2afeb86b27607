/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The VXLAN device between nodes. overlay_in (ingress) takes what arrives; overlay_out (egress) writes the tunnel key
 * of packets that the host's stack routed here, those of pods carry theirs already.
 */
#include "lib/arrive.h"
#include "lib/drop.h"
#include "lib/endpoint.h"
#include "lib/flow.h"
#include "lib/gateway.h"
#include "lib/overlay.h"
#include "lib/route.h"

SEC("tc")
int overlay_in(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_OVERLAY_IN, .scope = SERVICE_NOBODY};
	const struct endpoint_value *destination;
	enum drop_reason reason;
	int verdict;

	reason = parse_frame(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	reason = parse_ip(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (unlikely(!overlay_arrived(skb)))
		return drop(skb, &p, DROP_TUNNEL, 0);
	if (unlikely(overlay_loops(&p)))
		return drop(skb, &p, DROP_LOOP, 0);
	reason = arrive_destination(skb, &p, &destination);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (unlikely(!destination && !p.dsr && !gateway_is_asked(skb)))
		return !flow_parse(skb, &p) && answer_is_late(&p) ? answer_late(skb, &p)
								  : drop(skb, &p, DROP_NO_ENDPOINT, 0);
	overlay_accept(skb);
	if (p.dsr || (destination && endpoint_is_host(destination))) {
		verdict = arrive(skb, &p);
		return verdict == TC_ACT_UNSPEC ? TC_ACT_OK : verdict;
	}
	/* On its last hop it ends here, and the host says so. */
	if (!destination && p.ttl <= 1)
		return TC_ACT_OK;
	reason = flow_of(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	return destination ? route_to_pod(skb, &p, destination) : gateway_go_on(skb, &p);
}

SEC("tc")
int overlay_out(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_OVERLAY_OUT};
	const struct ipcache_value *node;
	enum drop_reason reason;

	if (overlay_has_tunnel(skb))
		return TC_ACT_OK;
	reason = parse_frame(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	reason = parse_ip(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (unlikely(address_is_group(&p.tuple.destination)))
		return drop_group(skb, &p);
	node = node_of(&p.tuple.destination);
	if (unlikely(!node || !(node->flags & IPCACHE_OVERLAY)))
		return drop(skb, &p, DROP_NO_ROUTE, 0);
	/* All nodes' devices have one MAC, and VXLAN discards frames that carry its own as source (vxlan_set_mac). */
	if (unlikely(!route_set_tunnel(skb, &node->tunnel) || !frame_alter_source(skb)))
		return drop(skb, &p, DROP_TUNNEL, 0);
	count_forwarded(&p, skb->len);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
