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
	__u64 now = bpf_ktime_get_coarse_ns();
	struct xdp_frame frame;
	struct steady_set *set;
	struct steady *s;
	__u32 number;

	if (!xdp_parse(ctx, &p, &frame))
		return XDP_PASS;
	number = steady_number(&p.tuple);
	set = steady_set_of(number);
	if (!set)
		return XDP_PASS;
	s = steady_find(set, number, &p.tuple);
	if (s && xdp_holds(ctx, &p, &frame, s) && (s->until > now || xdp_renew(ctx, &p, &frame, s, now))) {
		s->packets++;
		s->bytes += p.end;
		return xdp_go(ctx, &p, &frame, s);
	}
	if (!s)
		s = steady_room(set, number, now);
	if (!s)
		return XDP_PASS;
	/* What ends a flow must find all that was counted of it. */
	steady_end(s);
	return xdp_find(ctx, &p, &frame, s, now) ? xdp_go(ctx, &p, &frame, s) : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
