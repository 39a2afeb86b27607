/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Keys of the map translations. */
#pragma once
#include <linux/in.h>
#include "compiler.h"
#include "shared.h"

/* Of a packet with this tuple. */
static __always_inline struct nat_key nat_key_of(const struct tuple *t)
{
	return (struct nat_key){
	    .source = t->source,
	    .destination = t->destination,
	    .source_port = t->source_port,
	    .destination_port = t->destination_port,
	    .protocol = t->protocol,
	};
}

/* The protocol that a packet goes on with. */
static __always_inline __u8 nat_protocol(const struct nat_value *to, __u8 protocol)
{
	if (!(to->flags & NAT_OTHER_FAMILY))
		return protocol;
	if (protocol == IPPROTO_ICMPV6)
		return IPPROTO_ICMP;
	return protocol == IPPROTO_ICMP ? IPPROTO_ICMPV6 : protocol;
}

/* Of what answers it. Written in place: a copy would take a stack's room. */
static __always_inline void nat_key_set_against(struct nat_key *key, const struct tuple *t)
{
	key->source = t->destination;
	key->destination = t->source;
	key->source_port = t->destination_port;
	key->destination_port = t->source_port;
	key->protocol = t->protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}
