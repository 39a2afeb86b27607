/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Keys of the map translations. */
#pragma once
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
