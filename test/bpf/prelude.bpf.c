/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Brings a packet into a state that a test run cannot be given, then goes on with the program under
 * test. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct prelude {
	__u32 underlay; /* family of the tunnel the packet came through: 4, 6, or 0 for none */
	__u32 vni;
	__u32 other_host; /* 1: the frame was for another's MAC */
	__u32 vlan;       /* tag that the device has taken off the frame; 0 for none */
	__u32 length;     /* bytes to cut the frame to; 0 leaves it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct prelude);
} preludes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

/* A verdict no program under test gives. */
#define PRELUDE_FAILED 99

SEC("tc")
int prelude(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {.remote_ipv4 = 0xc0a80702};
	__u32 zero = 0;
	struct prelude *prelude = bpf_map_lookup_elem(&preludes, &zero);

	if (!prelude)
		return PRELUDE_FAILED;
	key.tunnel_id = prelude->vni;
	if (prelude->underlay == 6)
		key.remote_ipv6[0] = bpf_htonl(0xfd000007);
	if (prelude->underlay &&
	    bpf_skb_set_tunnel_key(skb, &key, sizeof(key), prelude->underlay == 6 ? BPF_F_TUNINFO_IPV6 : 0))
		return PRELUDE_FAILED;
	if (prelude->other_host && bpf_skb_change_type(skb, 3 /* PACKET_OTHERHOST */))
		return PRELUDE_FAILED;
	if (prelude->vlan && bpf_skb_vlan_push(skb, bpf_htons(0x8100), prelude->vlan))
		return PRELUDE_FAILED;
	if (prelude->length && bpf_skb_change_tail(skb, prelude->length, 0))
		return PRELUDE_FAILED;
	bpf_tail_call(skb, &under_test, 0);
	return PRELUDE_FAILED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
