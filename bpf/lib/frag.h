/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments belong to the flow of their datagram. The first one carries the ports and is remembered; those that follow
 * take them from there. One that overtook its first fragment has no ports: it is forwarded by its addresses alone.
 */
#pragma once
#include "maps.h"
#include "parse.h"

static __always_inline struct frag_key frag_key_of(const struct packet *p)
{
	return (struct frag_key){
	    .source = p->tuple.source,
	    .destination = p->tuple.destination,
	    .id = p->fragment_id,
	    .protocol = p->tuple.protocol,
	};
}

static __always_inline void frag_remember(const struct packet *p)
{
	struct frag_key key = frag_key_of(p);
	struct frag_value value = {.source_port = p->tuple.source_port, .destination_port = p->tuple.destination_port};

	bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

/* Gives a later fragment its datagram's ports. False when the first fragment has not been seen. */
static __always_inline bool frag_recall(struct packet *p)
{
	struct frag_key key = frag_key_of(p);
	struct frag_value *value = bpf_map_lookup_elem(&fragments, &key);

	if (!value)
		return false;
	p->tuple.source_port = value->source_port;
	p->tuple.destination_port = value->destination_port;
	return true;
}
