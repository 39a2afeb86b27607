/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Opens, but no kernel verifies it: it reads beyond what it has checked. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int reads_too_far(struct __sk_buff *skb)
{
	return *(__u8 *)(long)skb->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
