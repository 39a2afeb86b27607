/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The host side of a pod's pair. pod_out (tc ingress) sees packets from the pod, pod_in (tc egress) those from the
 * host's stack to the pod; packets that other programs redirect into a pod pass neither.
 */
#include "lib/answer.h"
#include "lib/drop.h"
#include "lib/endpoint.h"
#include "lib/flow.h"
#include "lib/gateway.h"
#include "lib/leave.h"
#include "lib/neigh.h"
#include "lib/route.h"

SEC("tc")
int pod_out(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_POD_OUT};
	const struct endpoint_value *destination;
	enum drop_reason reason;
	int verdict;

	reason = parse_frame(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (unlikely(p.ethertype == ETH_P_ARP))
		return neigh_arp(skb, &p);
	reason = parse_ip(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	reason = flow_parse(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (neigh_is_ndp(&p))
		return neigh_ndp(skb, &p);
	if (unlikely(frame_is_group(skb) || address_is_group(&p.tuple.destination)))
		return drop_group(skb, &p);
	reason = endpoint_check_source(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (unlikely(answer_is_echo(&p)) && balance_owns(&p))
		return answer_echo(skb, &p);
	reason = flow_track(skb, &p);
	if (unlikely(reason))
		return answer_drop(skb, &p, reason);
	if (unlikely(p.ct_flags & CT_VIA_STACK))
		return TC_ACT_OK;
	destination = endpoint_of(&p.tuple.destination);
	if (!destination) {
		verdict = egress_gateway ? gateway_leave(skb, &p) : TC_ACT_UNSPEC;
		if (likely(verdict == TC_ACT_UNSPEC))
			verdict = route_away(skb, &p);
		if (likely(verdict != TC_ACT_OK))
			return verdict;
		if (answer_is_late(&p))
			return answer_late(skb, &p);
		return p.translated ? leave_without_way(skb, &p) : TC_ACT_OK;
	}
	if (endpoint_is_host(destination))
		return TC_ACT_OK;
	return route_to_pod(skb, &p, destination);
}

SEC("tc")
int pod_in(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_POD_IN, .scope = SERVICE_NOBODY};
	enum drop_reason reason;

	/* What is not this pod's own is none of conntrack's business; the pod judges it. */
	if (parse_frame(skb, &p) || parse_ip(skb, &p) || !endpoint_owning(skb, &p.tuple.destination))
		return TC_ACT_OK;
	reason = flow_parse(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	/* Of its own link, and mostly pod_out's own answer: no traffic of anybody. */
	if (neigh_is_ndp(&p) && p.ttl == NDP_HOP_LIMIT)
		return TC_ACT_OK;
	reason = flow_track(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	count_forwarded(&p, skb->len);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
