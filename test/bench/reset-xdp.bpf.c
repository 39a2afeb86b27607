/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * As reset.bpf.c, for programs in front of the stack: a frame gets its length and headers back, becomes one of the next
 * flow, and goes on to the program under test.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HEADERS 74

struct original {
	__u8 headers[HEADERS];
	__u8 pad[2];
	__u32 length;
	__u32 flow_mask; /* flows less one; their number is a power of two */
	__u32 port_at;   /* offset of the source port, 34 or 54: it and the last byte of the address tell flows apart */
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

SEC("xdp")
int reset_xdp(struct xdp_md *ctx)
{
	__u32 zero = 0, flow, length = ctx->data_end - ctx->data;
	struct original *original = bpf_map_lookup_elem(&originals, &zero);
	__u8 *data;

	if (!original || (length != original->length && bpf_xdp_adjust_head(ctx, (int)(length - original->length))))
		return RESET_FAILED;
	data = (__u8 *)(long)ctx->data;
	if ((void *)(data + HEADERS) > (void *)(long)ctx->data_end)
		return RESET_FAILED;
	__builtin_memcpy(data, original->headers, HEADERS);
	flow = original->flow++ & original->flow_mask;
	if (original->port_at == 34) {
		*(__be16 *)(data + 34) = bpf_htons((__u16)flow);
		data[29] = (__u8)(flow >> 16);
	} else {
		*(__be16 *)(data + 54) = bpf_htons((__u16)flow);
		data[37] = (__u8)(flow >> 16);
	}
	bpf_tail_call(ctx, &under_test, 0);
	return RESET_FAILED;
}

/* What a test run costs without anything to do. */
SEC("xdp")
int empty_xdp(struct xdp_md *ctx)
{
	return ctx->data_end > ctx->data ? XDP_TX : XDP_ABORTED;
}

/* Reads addresses and ports, turns the MACs around and sends the frame back. */
SEC("xdp")
int bounce_xdp(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, mac[6];
	__u32 at = 34, seen = 0;

	if ((void *)(data + HEADERS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (data[12] == 0x86)
		at = 54;
	else if (data[12] != 8 || data[14] != 0x45)
		return XDP_PASS;
	seen = at == 34 ? *(__u32 *)(data + 26) ^ *(__u32 *)(data + 30) ^ *(__u32 *)(data + 34)
			: *(__u32 *)(data + 34) ^ *(__u32 *)(data + 50) ^ *(__u32 *)(data + 54);
	if (!seen)
		return XDP_PASS;
	__builtin_memcpy(mac, data, sizeof(mac));
	__builtin_memcpy(data, data + 6, sizeof(mac));
	__builtin_memcpy(data + 6, mac, sizeof(mac));
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
