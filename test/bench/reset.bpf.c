/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Runs in front of a program whose time is taken by test runs, which repeat on the same packet:
 * gives the packet its headers back, makes it one of the next flow, and goes on with the program.
 * `empty` in the program's place tells what of the time is not its own.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEADERS 64

struct original {
	__u8 headers[HEADERS];
	__u32 flow_mask;  /* flows less one; their number is a power of two */
	__u32 first_port; /* source port of the first flow */
	__u32 port_at;    /* offset of the source port, 34 or 54 */
	__u32 flow;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct original);
} originals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

/* A verdict no program under test gives. */
#define RESET_FAILED 99

SEC("tc")
int reset(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct original *original = bpf_map_lookup_elem(&originals, &zero);
	__u8 *data = (__u8 *)(long)skb->data;
	__be16 port;

	if (!original || (void *)(data + HEADERS) > (void *)(long)skb->data_end)
		return RESET_FAILED;
	__builtin_memcpy(data, original->headers, HEADERS);
	port = bpf_htons((__u16)(original->first_port + (original->flow++ & original->flow_mask)));
	if (original->port_at == 34)
		*(__be16 *)(data + 34) = port;
	else
		*(__be16 *)(data + 54) = port;
	bpf_tail_call(skb, &under_test, 0);
	return RESET_FAILED;
}

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return skb->len ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
