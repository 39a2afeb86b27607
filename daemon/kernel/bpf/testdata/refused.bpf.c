/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One program the verifier takes and one that it refuses. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define UNUSED __attribute__((unused))

SEC("tc")
int fine(struct __sk_buff *skb UNUSED)
{
	return 0;
}

SEC("tc")
int out_of_bounds(struct __sk_buff *skb)
{
	return *(__u8 *)(long)skb->data;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
