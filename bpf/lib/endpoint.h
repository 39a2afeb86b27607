/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who an address belongs to, and whether a pod may send from it. */
#pragma once
#include "maps.h"
#include "parse.h"

static __always_inline const struct endpoint_value *endpoint_of(const struct address *address)
{
	return bpf_map_lookup_elem(&endpoints, address);
}

static __always_inline bool endpoint_is_host(const struct endpoint_value *endpoint)
{
	return endpoint->flags & ENDPOINT_HOST;
}

/* The endpoint behind the device the packet came from, if this address is its own; else null. */
static __always_inline const struct endpoint_value *endpoint_owning(struct __sk_buff *skb,
								    const struct address *address)
{
	const struct endpoint_value *endpoint = endpoint_of(address);

	/* The host's entries carry ifindex 0, which no packet has. */
	return endpoint && endpoint->ifindex == skb->ifindex ? endpoint : 0;
}

/* The endpoint behind the device the packet came from; null while the control plane has not written it. */
static __always_inline const struct endpoint_value *endpoint_behind(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;

	return bpf_map_lookup_elem(&devices, &ifindex);
}

/* Whether a pod may send this packet: its source must be the pod's own address and MAC. */
static __always_inline enum drop_reason endpoint_check_source(struct __sk_buff *skb, const struct packet *p)
{
	const struct endpoint_value *endpoint = endpoint_owning(skb, &p->tuple.source);

	if (unlikely(!endpoint))
		return DROP_SPOOFED_ADDRESS;
	if (unlikely(!frame_source_is(skb, endpoint->mac)))
		return DROP_SPOOFED_MAC;
	return DROP_NONE;
}
