/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The number by which a flow finds its place in a Maglev table, the same on every node: words are folded in one by one,
 * each time multiplied and the upper half of the product, which depends on all bits, folded into the lower one.
 */
#pragma once
#include "address.h"
#include "parse.h"

/* Odd, with about as many ones as zeros. */
#define MAGLEV_A 0x9e3779b97f4a7c15ULL
#define MAGLEV_B 0xe7037ed1a0b428dbULL

/* Both halves of a product depend on all bits of both factors; eBPF has only the lower one, so words are mixed twice.
 */
static __always_inline __u64 maglev_mix(__u64 sum, __u64 word)
{
	sum = (sum ^ word) * MAGLEV_A;
	return sum ^ sum >> 32;
}

static __always_inline __u64 maglev_address(__u64 sum, const struct address *a)
{
	if (!address_is4(a))
		sum = maglev_mix(sum, (__u64)bpf_ntohl(a->words[0]) << 32 | bpf_ntohl(a->words[1]));
	return maglev_mix(sum, (__u64)bpf_ntohl(a->words[2]) << 32 | bpf_ntohl(a->words[3]));
}

static __always_inline __u32 maglev_hash(const struct tuple *t)
{
	__u64 ports = (__u64)bpf_ntohs(t->source_port) << 32 | (__u64)bpf_ntohs(t->destination_port) << 8 | t->protocol;
	__u64 sum = maglev_mix(MAGLEV_B, ports);

	sum = maglev_address(sum, &t->source);
	sum = maglev_address(sum, &t->destination);
	sum = maglev_mix(sum, MAGLEV_B);
	return (__u32)(sum >> 32 ^ sum);
}
