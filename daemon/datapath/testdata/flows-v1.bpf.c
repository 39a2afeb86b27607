/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A map and a program that looks into it: the older of two layouts. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} flows SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	__u32 *value = bpf_map_lookup_elem(&flows, &key);

	return value ? (int)*value : -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
