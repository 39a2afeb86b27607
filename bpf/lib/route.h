/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a packet goes on. What a program cannot do by itself (time exceeded, packet too big, fragmentation, no route)
 * is left to the host's stack, which holds the same routes, answers, and limits the rate of its answers.
 */
#pragma once
#include <linux/pkt_cls.h>
#include "config.h"
#include "drop.h"
#include "endpoint.h"
#include "maps.h"
#include "nic.h"
#include "parse.h"
#include "wrap.h"

/* To a pod of this node: straight into the receiving end of its pair. */
static __always_inline int route_to_pod(struct __sk_buff *skb, struct packet *p, const struct endpoint_value *endpoint)
{
	if (unlikely(p->ttl <= 1))
		return TC_ACT_OK;
	/* mac and host_mac lie in an endpoint_value as they do in a frame. */
	if (unlikely(!frame_set_macs(skb, (const __u32 *)endpoint->mac) || !packet_decrement_ttl(skb, p)))
		return drop(skb, p, DROP_MALFORMED, 0);
	count_forwarded(p, skb->len);
	return bpf_redirect_peer(endpoint->ifindex, 0);
}

/* Bytes of the largest IP packet on the wire; the segments of a larger one give way to what wraps them. */
static __always_inline __u32 route_length(struct __sk_buff *skb, const struct packet *p)
{
	return packet_wire_length(skb, p) + (wrap_awaits(p) && !skb->gso_size ? wrap_size(p) : 0);
}

/* Writes the tunnel key of a packet to this node. */
static __always_inline bool route_set_tunnel(struct __sk_buff *skb, const struct address *node)
{
	struct bpf_tunnel_key key = {.tunnel_id = overlay_vni, .tunnel_ttl = 64};
	/* IPv4 has a checksum of its own header; that of UDP may stay zero (RFC 7348 section 5). */
	__u64 flags = BPF_F_ZERO_CSUM_TX;

	if (address_is4(node)) {
		key.remote_ipv4 = bpf_ntohl(node->words[3]);
	} else {
		__builtin_memcpy(key.remote_ipv6, node->words, sizeof(key.remote_ipv6));
		flags = BPF_F_TUNINFO_IPV6;
	}
	return !bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
}

/*
 * Whether a packet may go through the overlay. One that is too long is the stack's to fragment or refuse, but not what
 * this node sends on in its own name, which the stack would take for forged: IPv4 fragments it around the tunnel.
 */
static __always_inline bool route_overlay_takes(struct __sk_buff *skb, const struct packet *p,
						const struct ipcache_value *node)
{
	if (route_length(skb, p) <= overlay_mtu)
		return true;
	return p->translated && p->scope == SERVICE_OUTSIDE && address_is4(&node->tunnel);
}

/* A packet that its way does not take is the stack's to fragment or refuse; who knows better finds the MTU. */
static __always_inline int route_too_long(__u32 mtu)
{
	struct scratch *own = scratch();

	if (own)
		own->mtu = mtu;
	return TC_ACT_OK;
}

static __always_inline int route_overlay(struct __sk_buff *skb, struct packet *p, const struct ipcache_value *node)
{
	if (!route_overlay_takes(skb, p, node))
		return route_too_long(overlay_mtu);
	if (!route_set_tunnel(skb, &node->tunnel))
		return drop(skb, p, DROP_TUNNEL, 0);
	if (!packet_decrement_ttl(skb, p))
		return drop(skb, p, DROP_MALFORMED, 0);
	count_forwarded(p, skb->len);
	return bpf_redirect(overlay_ifindex, 0);
}

/* Asks where a packet of a length goes that came by a device. */
static __always_inline void route_fib_ask(struct bpf_fib_lookup *fib, __u32 ifindex, __u32 length,
					  const struct packet *p)
{
	fib->ifindex = ifindex;
	fib->l4_protocol = p->tuple.protocol;
	fib->sport = p->tuple.source_port;
	fib->dport = p->tuple.destination_port;
	fib->tot_len = (__u16)length;
	if (p->ethertype == ETH_P_IP) {
		fib->family = AF_INET;
		fib->ipv4_src = p->tuple.source.words[3];
		fib->ipv4_dst = p->tuple.destination.words[3];
	} else {
		fib->family = AF_INET6;
		__builtin_memcpy(fib->ipv6_src, &p->tuple.source, sizeof(fib->ipv6_src));
		__builtin_memcpy(fib->ipv6_dst, &p->tuple.destination, sizeof(fib->ipv6_dst));
	}
}

/* The stack will tell the pod that there is no way; that the packet ends there is told here. */
static __always_inline int route_none(struct __sk_buff *skb, struct packet *p)
{
	/* But not of what the stack does not get. */
	if (p->translated && p->scope == SERVICE_OUTSIDE)
		return TC_ACT_OK;
	drop(skb, p, DROP_NO_ROUTE, 0);
	return TC_ACT_OK;
}

/*
 * The network interface that a packet must leave by where the kernel's routes lead by another one, or have no way. They
 * decide as long as they lead elsewhere, or refuse.
 */
static __always_inline const struct nic_way *route_nic(const struct packet *p, __u32 ifindex, long result)
{
	const struct nic_way *way = nic_wanted(p);

	if (!way || result == BPF_FIB_LKUP_RET_NOT_FWDED)
		return way;
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	return way->ifindex != ifindex && nic_at(ifindex, p->ethertype) ? way : 0;
}

/* Out by that one. */
static __always_inline int route_by_nic(struct __sk_buff *skb, struct packet *p, const struct nic_way *way)
{
	if (!way->ifindex)
		return drop(skb, p, DROP_NO_INTERFACE, 0);
	if (route_length(skb, p) > way->mtu)
		return route_too_long(way->mtu);
	if (!packet_decrement_ttl(skb, p))
		return drop(skb, p, DROP_MALFORMED, 0);
	count_forwarded(p, skb->len);
	nic_choose(skb);
	return nic_redirect(p, way);
}

/*
 * By the kernel's routes. Whatever they answer but a next hop, the host's stack knows what to do about it. Of MTUs they
 * answer for the device's and for those that are locked; a route's own MTU binds the senders, whose routes have it too.
 */
static __always_inline int route_fib(struct __sk_buff *skb, struct packet *p)
{
	struct bpf_redir_neigh next = {};
	struct bpf_fib_lookup fib = {};
	const struct nic_way *way;
	long result;

	route_fib_ask(&fib, skb->ifindex, route_length(skb, p), p);
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	way = nic_flags & NIC_EGRESS ? route_nic(p, fib.ifindex, result) : 0;
	if (way)
		return route_by_nic(skb, p, way);
	if (result == BPF_FIB_LKUP_RET_BLACKHOLE) /* the stack would answer nothing */
		return drop(skb, p, DROP_NO_ROUTE, 0);
	/*
	 * Not forwarded: no route, for every address of this node is an endpoint. What else the local table has (a
	 * subnet's broadcast, a whole prefix) the helper does not tell apart: it is told as a drop and delivered.
	 */
	if (result == BPF_FIB_LKUP_RET_NOT_FWDED || result == BPF_FIB_LKUP_RET_UNREACHABLE ||
	    result == BPF_FIB_LKUP_RET_PROHIBIT)
		return route_none(skb, p);
	if (result == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return route_too_long(fib.mtu_result);
	/* redirect_neigh resolves a neighbour that is not known yet. */
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return TC_ACT_OK;
	next.nh_family = fib.family;
	__builtin_memcpy(next.ipv6_nh, fib.ipv6_dst, sizeof(next.ipv6_nh));
	if (!packet_decrement_ttl(skb, p))
		return drop(skb, p, DROP_MALFORMED, 0);
	count_forwarded(p, skb->len);
	nic_choose(skb);
	return bpf_redirect_neigh(fib.ifindex, &next, sizeof(next), 0);
}

/* What no router passes on: the pod's gateway, which is this node, and everything else link-local in IPv6. */
static __always_inline bool route_stays_on_link(const struct address *destination)
{
	return address_is_link_local6(destination) ||
	       (address_is4(destination) && destination->words[3] == bpf_htonl(GATEWAY4));
}

/* Whether the network of a node knows a packet's source, for a network interface of this machine has it. */
static __always_inline bool route_is_known(const struct packet *p, const struct ipcache_value *node)
{
	return nic_flags && node->flags & IPCACHE_CLOUD && nic_of(&p->tuple.source);
}

/* To anything that is not on this node. */
__outlined int route_away(struct __sk_buff *skb, struct packet *p)
{
	const struct ipcache_value *node;

	if (!p)
		return TC_ACT_SHOT;
	if (p->ttl <= 1 || route_stays_on_link(&p->tuple.destination))
		return TC_ACT_OK;
	if (overlay_ifindex) {
		node = node_of(&p->tuple.destination);
		if (node && node->flags & IPCACHE_OVERLAY && !route_is_known(p, node))
			return route_overlay(skb, p, node);
	}
	return route_fib(skb, p);
}
