/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A connection that takes the tuple of one which its server remembers goes without timestamps (RFC 7323): the server
 * would compare them with those of the old one, whose clock was another. It then goes by sequence numbers alone.
 */
#pragma once
#include "nat.h"

enum {
	TCP_OPTIONS_WORDS = 10, /* at most */
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_TIMESTAMPS = 8,
	TCP_TIMESTAMPS_SIZE = 10,
};

struct tcp_options {
	__u8 bytes[4 * TCP_OPTIONS_WORDS];
};

/* Makes the timestamps among so many bytes of options no operation. */
static __always_inline void timestamp_void(struct tcp_options *options, __u32 length)
{
	__u32 at = 0;

	for (int i = 0; i < 4 * TCP_OPTIONS_WORDS; i++) {
		__u8 kind;

		if (at + TCP_TIMESTAMPS_SIZE > length || at > sizeof(options->bytes) - TCP_TIMESTAMPS_SIZE)
			return;
		kind = options->bytes[at];
		if (kind == TCP_OPTION_END)
			return;
		if (kind == TCP_OPTION_TIMESTAMPS) {
			for (__u32 j = 0; j < TCP_TIMESTAMPS_SIZE; j++)
				options->bytes[at + j] = TCP_OPTION_NOP;
			return;
		}
		at += kind == TCP_OPTION_NOP ? 1 : options->bytes[at + 1];
	}
}

/* Takes the timestamps from a segment that opens a connection. */
__outlined bool timestamp_strip(struct __sk_buff *skb, struct packet *p)
{
	struct tcp_options before = {}, after;
	__u32 first, length;
	__s64 difference;
	__u8 words;

	if (!p || bpf_skb_load_bytes(skb, p->transport + 12, &words, sizeof(words)))
		return false;
	first = p->transport + TCP_HEADER;
	length = (words >> 4) * 4;
	length = length > TCP_HEADER ? length - TCP_HEADER : 0;
	for (__u32 i = 0; i < TCP_OPTIONS_WORDS && i * 4 < length; i++)
		if (bpf_skb_load_bytes(skb, first + i * 4, &before.bytes[i * 4], 4))
			return false;
	after = before;
	timestamp_void(&after, length);
	for (__u32 i = 0; i < TCP_OPTIONS_WORDS && i * 4 < length; i++)
		if (bpf_skb_store_bytes(skb, first + i * 4, &after.bytes[i * 4], 4, 0))
			return false;
	difference = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0);
	return !bpf_l4_csum_replace(skb, p->transport + TCP_CHECKSUM, 0, (__u64)difference, 0);
}
