/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Packets of pods of this node that are translated and then turn out to have no way. */
#pragma once
#include "answer.h"
#include "undo.h"

/*
 * What bears this node's address the host's stack would take for forged: it gets the packet that the pod knows, and
 * answers. One that is too long it may send on in fragments, as they came: the pod is told here.
 */
static __always_inline int leave_without_way(struct __sk_buff *skb, struct packet *p)
{
	const struct endpoint_value *source = endpoint_of(&p->tuple.source);
	struct scratch *own = scratch();
	__u32 mtu;

	if (!own || !source || !endpoint_is_host(source))
		return TC_ACT_OK;
	mtu = own->mtu;
	if (!undo(skb, p))
		return drop(skb, p, DROP_MALFORMED, 0);
	/* That a stack has no way for what it does not know is IPv4 it cannot tell. */
	if (!mtu && own->forward.flags & NAT_OTHER_FAMILY)
		return answer_tell(skb, p, ANSWER_NO_ROUTE) ? answer_back(skb, p) : TC_ACT_SHOT;
	if (!mtu)
		return TC_ACT_OK;
	drop(skb, p, DROP_TOO_BIG, 0);
	return answer_tell(skb, p, own->mtu) ? answer_back(skb, p) : TC_ACT_SHOT;
}
