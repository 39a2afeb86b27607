/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A device that leads to other nodes. uplink_in (ingress) takes packets for local pods and for services out of the
 * host's way, uplink_out (egress) sees the host's own answers as a service, those of another CNI's pods, and what has
 * to leave by another network interface. Everything else belongs to the host and passes untouched, whatever it looks
 * like; programs of others on the device see it too.
 */
#include <linux/if_packet.h>
#include "lib/arrive.h"
#include "lib/drop.h"
#include "lib/endpoint.h"
#include "lib/flow.h"
#include "lib/route.h"

SEC("tc")
int uplink_in(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_UPLINK_IN, .scope = SERVICE_NOBODY};
	const struct endpoint_value *destination;
	enum drop_reason reason;

	if (skb->pkt_type != PACKET_HOST || parse_frame(skb, &p) || parse_ip(skb, &p))
		return TC_ACT_UNSPEC;
	reason = arrive_destination(skb, &p, &destination);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	if (!destination || endpoint_is_host(destination))
		return arrive(skb, &p);
	reason = flow_of(skb, &p);
	if (unlikely(reason))
		return drop(skb, &p, reason, 0);
	return route_to_pod(skb, &p, destination);
}

SEC("tc")
int uplink_out(struct __sk_buff *skb)
{
	struct packet p = {.hook = HOOK_UPLINK_OUT, .scope = SERVICE_NOBODY};

	int verdict = TC_ACT_UNSPEC;

	/* What came by another device has been seen there, unless that is another CNI's. */
	if ((!former_pods && !nic_flags && skb->ingress_ifindex) || nic_is_chosen(skb))
		return TC_ACT_UNSPEC;
	if (parse_frame(skb, &p) || parse_ip(skb, &p))
		return TC_ACT_UNSPEC;
	if (!skb->ingress_ifindex || endpoint_is_former(&p.tuple.source))
		verdict = depart(skb, &p);
	return nic_flags && verdict == TC_ACT_UNSPEC ? nic_depart(skb, &p) : verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
