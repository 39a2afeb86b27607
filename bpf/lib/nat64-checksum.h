/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The checksum of a UDP datagram that came without one, which IPv4 allows and IPv6 does not (RFC 8200 section 8.1): the
 * only one that is made anew, for it takes a look at every byte.
 */
#pragma once
#include <linux/errno.h>
#include "checksum.h"
#include "maps.h"
#include "nat.h"

enum {
	SUM_BYTES = sizeof(((struct related_room *)0)->from), /* that are looked at together */
	SUM_STEPS = 65535 / SUM_BYTES + 1,
};

/* Where the sum is. */
struct nat64_sum {
	struct __sk_buff *skb;
	__u32 at;
	__u32 end;
	__u32 sum;
};

static long nat64_sum_step(__u32 step, struct nat64_sum *s)
{
	struct scratch *own = scratch();
	__u32 last = s->end - s->at - 1;

	(void)step;
	if (!own || s->at >= s->end)
		return 1;
	if (last >= SUM_BYTES)
		last = SUM_BYTES - 1;
	/* Keeps the comparison, which tells the verifier what clang knows without it. */
	asm volatile("" : "+r"(last));
	if (last >= SUM_BYTES)
		return 1;
	/* What is behind the last byte counts as zero. */
	if (last < SUM_BYTES - 1)
		__builtin_memset(own->related.from, 0, SUM_BYTES);
	if (bpf_skb_load_bytes(s->skb, s->at, own->related.from, last + 1))
		return 1;
	s->sum = (__u32)bpf_csum_diff(0, 0, own->related.from, SUM_BYTES, s->sum);
	s->at += last + 1;
	return 0;
}

/* Whether a datagram over IPv4 has no checksum. */
static __always_inline bool nat64_lacks_checksum(struct __sk_buff *skb, const struct packet *p)
{
	__u16 checksum = 1;

	if (p->tuple.protocol != IPPROTO_UDP || p->ethertype != ETH_P_IP)
		return false;
	return !bpf_skb_load_bytes(skb, p->transport + UDP_CHECKSUM, &checksum, sizeof(checksum)) && !checksum;
}

/* Gives a datagram its checksum; `pseudo` is the sum of what it covers besides. */
__outlined bool nat64_make_checksum(struct __sk_buff *skb, const struct packet *p, __u32 pseudo)
{
	struct nat64_sum s = {.skb = skb, .sum = pseudo};
	__u16 checksum;

	if (!p)
		return false;
	s.at = p->transport;
	s.end = p->end;
	bpf_loop(SUM_STEPS, nat64_sum_step, &s, 0);
	if (s.at < s.end)
		return false;
	s.sum = (s.sum & 0xffff) + (s.sum >> 16);
	checksum = checksum_fold(s.sum) ?: 0xffff;
	return !bpf_skb_store_bytes(skb, p->transport + UDP_CHECKSUM, &checksum, sizeof(checksum),
				    BPF_F_RECOMPUTE_CSUM);
}
