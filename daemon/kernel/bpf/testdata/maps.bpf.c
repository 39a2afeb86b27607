/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps, constants and small programs on which the tests of the bpf layer work. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define UNUSED __attribute__((unused))

const volatile __u32 answer = 41;
const volatile __s16 negative = -1;
const volatile _Bool enabled = 0;
const volatile __u64 large = 0;
const volatile __u8 mac[6] = {};

struct pair {
	__u32 first;
	__u32 second;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct pair);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

/* Answers the sum of the constants, so that a test run sees which ones were set. */
SEC("tc")
int constants(struct __sk_buff *skb UNUSED)
{
	return answer + negative + (enabled ? 1000 : 0) + (large >> 32) + mac[5];
}

/* Doubles the mark, remembers it with the packet's length and grows the packet by four bytes. */
SEC("tc")
int remember(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct pair value = {.first = skb->mark, .second = skb->len};
	bpf_map_update_elem(&pairs, &key, &value, BPF_ANY);
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);
	if (counter)
		*counter += 1;
	skb->mark *= 2;
	bpf_skb_change_tail(skb, skb->len + 4, 0);
	return TC_ACT_OK;
}

SEC("tc")
int pass(struct __sk_buff *skb UNUSED)
{
	return TC_ACT_OK;
}

SEC("tc")
int drop(struct __sk_buff *skb UNUSED)
{
	return TC_ACT_SHOT;
}

static __always_inline void count(__u32 key)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);
	if (counter)
		*counter += 1;
}

/* Lets the chain of tcx programs go on. */
SEC("tc")
int go_on(struct __sk_buff *skb UNUSED)
{
	count(1);
	return -1;
}

SEC("tc")
int count_old(struct __sk_buff *skb UNUSED)
{
	count(2);
	return TC_ACT_SHOT;
}

SEC("tc")
int count_new(struct __sk_buff *skb UNUSED)
{
	count(3);
	return TC_ACT_SHOT;
}

SEC("tc")
int tail(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &calls, 1);
	return 7;
}

SEC("xdp")
int bounce(struct xdp_md *xdp UNUSED)
{
	return XDP_TX;
}

SEC("xdp")
int xdp_old(struct xdp_md *xdp UNUSED)
{
	count(2);
	return XDP_DROP;
}

SEC("xdp")
int xdp_new(struct xdp_md *xdp UNUSED)
{
	count(3);
	return XDP_DROP;
}

SEC("cgroup/connect4")
int refuse(struct bpf_sock_addr *address UNUSED)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
