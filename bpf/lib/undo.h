/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets that are translated and then turn out to have no way: they become again what their senders know, so that
 * those can be told. Of packets that this node sends on with its own address, and of those whose backends answer past
 * it.
 */
#pragma once
#include "dsr.h"

/* After an option has gone. */
static __always_inline void undo_option(struct packet *p, struct scratch *own)
{
	__u16 size = p->ethertype == ETH_P_IP ? DSR_OPTION4_SIZE : DSR_OPTION6_SIZE;

	p->transport -= size;
	p->end -= size;
	own->mtu -= size;
}

/* Reads a packet that was to be wrapped as the client sent it. */
static __always_inline bool undo_wrap(struct __sk_buff *skb, struct packet *p, struct scratch *own)
{
	struct packet came = {.hook = p->hook, .scope = p->scope};

	own->mtu -= wrap_size(p);
	*p = came;
	return !parse_frame(skb, p) && !parse_ip(skb, p) && !parse_transport(skb, p);
}

/*
 * Makes a packet that this node was about to send on as somebody else's what it was as it came; scratch.mtu becomes
 * what that one may be as long as.
 */
__outlined bool undo(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();
	const struct nat_value *asked;
	bool is4;

	if (!p || !own)
		return false;
	if (wrap_awaits(p))
		return undo_wrap(skb, p, own);
	is4 = p->ethertype == ETH_P_IP;
	if (p->dsr == PACKET_DSR_SENT && (is4 ? dsr_remove4(skb, p, &own->reply) : dsr_remove6(skb, p, &own->reply)))
		undo_option(p, own);
	p->dsr = PACKET_DSR_NONE;
	asked = dsr_asked(p);
	if (!asked)
		return false;
	own->forward.source = asked->destination;
	own->forward.source_port = asked->destination_port;
	own->forward.destination = asked->source;
	own->forward.destination_port = asked->source_port;
	own->forward.flags = asked->flags;
	if (own->forward.flags & NAT_OTHER_FAMILY) {
		own->mtu = own->mtu + NAT64_GROWTH < NAT64_LEAST_MTU6 ? NAT64_LEAST_MTU6 : own->mtu + NAT64_GROWTH;
		return nat64_to6(skb, p, &own->forward);
	}
	return nat_rewrite(skb, p, &own->forward);
}
