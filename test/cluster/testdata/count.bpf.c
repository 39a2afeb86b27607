/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Somebody else's program: counts packets and lets the next program judge them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { NEXT = -1 /* TCX_NEXT */ };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

SEC("tc")
int count_packets(struct __sk_buff *skb)
{
	__u32 zero = 0;
	(void)skb;
	__u64 *count = bpf_map_lookup_elem(&packets, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
	return NEXT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
