/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Writes numbered records to a ring buffer and counts those that found no room. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 number;
	__u64 check; /* ~number, so that a torn record shows */
};

struct state {
	__u64 written;
	__u64 lost;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} state SEC(".maps");

SEC("tc")
int produce(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct state *state_value = bpf_map_lookup_elem(&state, &zero);
	if (!state_value)
		return TC_ACT_SHOT;
	struct record record = {.number = state_value->written, .check = ~state_value->written};
	if (bpf_ringbuf_output(&events, &record, sizeof(record), skb->mark)) {
		state_value->lost++;
		return TC_ACT_OK;
	}
	state_value->written++;
	return TC_ACT_OK;
}

/* A record that is given up again: readers pass over it. */
SEC("tc")
int discard(struct __sk_buff *skb)
{
	struct record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (record)
		bpf_ringbuf_discard(record, skb->mark);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
