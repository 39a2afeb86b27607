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
	struct xdp_frame frame;
	struct steady *s;

	if (!xdp_parse(ctx, &p, &frame))
		return XDP_PASS;
	s = steady_place(&p.tuple);
	if (!s)
		return XDP_PASS;
	if (s->until > bpf_ktime_get_coarse_ns()) {
		if (!steady_is(s, &p.tuple)) {
			s = steady_spare();
		} else if (xdp_holds(ctx, &p, &frame, s)) {
			s->packets++;
			s->bytes += p.end;
			return xdp_go(ctx, &p, &frame, s);
		}
	}
	if (!s)
		return XDP_PASS;
	/* What ends a flow must find all that was counted of it. */
	steady_flush(s);
	return xdp_find(ctx, &p, &frame, s) ? xdp_go(ctx, &p, &frame, s) : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
