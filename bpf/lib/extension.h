/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The chain of IPv6 extension headers (RFC 8200 section 4), of a packet and of one that an ICMP error quotes. */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "compiler.h"

/* Headers that are walked; packets with more are malformed. */
enum { EXTENSIONS_MAX = 8 };

enum {
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	FRAGMENT_HEADER = 8, /* bytes */
	NEXT_AUTHENTICATION = 51,
	NEXT_DESTINATION = 60,
	NEXT_MOBILITY = 135,
};

enum fragment_kind {
	FRAGMENT_NONE,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
};

static __always_inline bool is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_AUTHENTICATION || next == NEXT_DESTINATION || next == NEXT_MOBILITY;
}

/* Where a chain of extension headers has been followed to. */
struct extension_walk {
	__u32 offset;
	__u8 next;
	__u8 fragment; /* enum fragment_kind */
	__be32 fragment_id;
};

/* One step of a walk. Returns 1 at the transport header, 0 to go on, negative when the headers are not there. */
static __always_inline int extension_step(struct __sk_buff *skb, struct extension_walk *walk)
{
	__u8 header[8];
	__u16 position;

	if (!is_extension(walk->next))
		return 1;
	if (bpf_skb_load_bytes(skb, walk->offset, header, sizeof(header)))
		return -1;
	if (walk->next == NEXT_FRAGMENT) {
		position = (__u16)(header[2] << 8 | header[3]);
		walk->offset += sizeof(header);
		__builtin_memcpy(&walk->fragment_id, header + 4, sizeof(walk->fragment_id));
		if (position & 0xfff8)
			walk->fragment = FRAGMENT_LATER;
		else if (position & 1)
			walk->fragment = FRAGMENT_FIRST;
	} else {
		/* The authentication header counts in 4 bytes, less 2 (RFC 4302 section 2.2). */
		walk->offset += walk->next == NEXT_AUTHENTICATION ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
	}
	walk->next = header[0];
	/* What follows in a later fragment is no header. */
	return walk->fragment == FRAGMENT_LATER;
}

/* Follows extension headers to the transport header. False when there are too many or they end early. */
__outlined bool extension_walk_on(struct __sk_buff *skb, struct extension_walk *walk)
{
	if (!walk)
		return false;
	/* One step more: that to the transport header. */
	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		int step = extension_step(skb, walk);

		if (step)
			return step > 0;
	}
	return false;
}
