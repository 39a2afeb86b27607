/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The least that any datapath of this kind does: looks the destination up and redirects the packet into the receiving
 * end of its pair. Whoever sends has the receiver's MAC already.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct address {
	__be32 words[4];
};

/* Address → interface index of the host side; IPv4 as ::ffff:a.b.c.d. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct address);
	__type(value, __u32);
} places SEC(".maps");

/* Offsets of the destination address. */
enum {
	DESTINATION4 = ETH_HLEN + 16,
	DESTINATION6 = ETH_HLEN + 24,
};

SEC("tc")
int floor_out(struct __sk_buff *skb)
{
	const __u8 *data = (const __u8 *)(long)skb->data;
	const void *end = (const void *)(long)skb->data_end;
	struct address destination = {};
	const __u32 *ifindex;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (data + DESTINATION4 + 4 > (const __u8 *)end)
			return TC_ACT_OK;
		destination.words[2] = bpf_htonl(0xffff);
		destination.words[3] = *(const __be32 *)(data + DESTINATION4);
	} else {
		if (data + DESTINATION6 + sizeof(destination) > (const __u8 *)end)
			return TC_ACT_OK;
		__builtin_memcpy(&destination, data + DESTINATION6, sizeof(destination));
	}
	ifindex = bpf_map_lookup_elem(&places, &destination);
	return ifindex ? bpf_redirect_peer(*ifindex, 0) : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
