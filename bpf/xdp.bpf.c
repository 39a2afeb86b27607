/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * uplink_xdp: in front of everything else on a device that leads to other nodes. Clients elsewhere that speak by this
 * node to backends elsewhere: once uplink_in has begun a flow, its packets turn around here in both directions.
 */
#include "lib/xdp.h"

SEC("xdp")
int uplink_xdp(struct xdp_md *ctx)
{
	struct packet p = {.hook = HOOK_UPLINK_XDP, .scope = SERVICE_OUTSIDE};
	const struct nat_value *known;
	const struct hop *hop;
	struct xdp_frame frame;
	struct tuple from;

	if (!xdp_parse(ctx, &p, &frame))
		return XDP_PASS;
	known = nat_find(&p.tuple);
	if (!known || (p.tuple.protocol != IPPROTO_TCP && !nat_backend_is_there(known)))
		return XDP_PASS;
	from = p.tuple;
	p.tuple = nat_tuple(known, from.protocol);
	if (nat_is_dsr(known)) {
		/* By option, every datagram is given one. */
		if (wrap_is_on())
			return xdp_send(ctx, &p, &frame);
		if (from.protocol != IPPROTO_TCP)
			return XDP_PASS;
	}
	hop = xdp_route(ctx, &p, &frame, 0);
	if (!hop || !xdp_continue(&p, known, &from))
		return XDP_PASS;
	xdp_rewrite(&frame, &p, &from, hop);
	count_forwarded(&p, p.end);
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
