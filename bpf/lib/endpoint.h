/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who an address belongs to, here and on other nodes, and whether a pod may send from it. */
#pragma once
#include "config.h"
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

/* True for an address of a pod of this node that another CNI attached. */
static __always_inline bool endpoint_is_former(const struct address *address)
{
	const struct endpoint_value *endpoint = former_pods ? endpoint_of(address) : 0;

	return endpoint && endpoint->flags & ENDPOINT_FORMER;
}

/* The ipcache entry of an address, null when no other node has it. */
static __always_inline const struct ipcache_value *node_of(const struct address *address)
{
	struct ipcache_key key = {.prefix_length = 128, .address = *address};

	return bpf_map_lookup_elem(&ipcache, &key);
}

/* Whether another node has this address itself. */
static __always_inline bool node_is(const struct address *address)
{
	const struct ipcache_value *node = node_of(address);

	return node && node->flags & IPCACHE_NODE;
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
