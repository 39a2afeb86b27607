/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A program that keeps the verifier busy: branches whose outcomes it has to follow one by one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int slow(struct __sk_buff *skb)
{
	__u32 sum = 0;
	for (int i = 0; i < 4000; i++) {
		if (skb->mark & (1U << (i & 31)))
			sum = sum * 3 + i;
		else
			sum ^= skb->priority + i;
	}
	return sum & 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
