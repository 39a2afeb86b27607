/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The machine's network interfaces whose addresses pods have. A cloud's network takes a packet only from the one that
 * has its source, and what it is sent by a subnet's router it delivers, to neighbours too.
 */
#pragma once
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include "address.h"
#include "config.h"
#include "drop.h"
#include "maps.h"

/* Of <sys/socket.h>, which does not compile for eBPF. */
enum {
	AF_INET = 2,
	AF_INET6 = 10,
};

/* Of skb->tc_index, which goes with a packet and is nobody else's: a program has chosen its way. */
#define NIC_CHOSEN 0xca7e

/* Spares a packet that is sent on by a program the look at where it leaves. */
static __always_inline void nic_choose(struct __sk_buff *skb)
{
	if (nic_flags)
		skb->tc_index = NIC_CHOSEN;
}

static __always_inline bool nic_is_chosen(const struct __sk_buff *skb)
{
	return nic_flags && skb->tc_index == NIC_CHOSEN;
}

/* The one that has a source; null where none does, and the kernel's routes decide. */
static __always_inline const struct nic_way *nic_of(const struct address *source)
{
	struct range_key key = {.prefix_length = 128, .address = *source};

	return bpf_map_lookup_elem(&nic_ways, &key);
}

/* The one with an index; null for other devices. */
static __always_inline const struct nic_way *nic_at(__u32 ifindex, __u16 ethertype)
{
	struct range_key key = {.prefix_length = 128};

	key.address.words[1] = bpf_htonl(1 + (ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6));
	key.address.words[3] = bpf_htonl(ifindex);
	return bpf_map_lookup_elem(&nic_ways, &key);
}

/*
 * The one that a packet must leave by: that has its source, else that the flow came in by which it answers. Null where
 * it does not matter.
 */
static __always_inline const struct nic_way *nic_wanted(const struct packet *p)
{
	const struct nic_way *way = nic_of(&p->tuple.source);

	return way || !p->device ? way : nic_at(p->device, p->ethertype);
}

/* Out by a network interface to its subnet's router, which is resolved if it is not known yet. */
static __always_inline int nic_redirect(const struct packet *p, const struct nic_way *way)
{
	struct bpf_redir_neigh next = {};

	if (p->ethertype == ETH_P_IP) {
		next.nh_family = AF_INET;
		next.ipv4_nh = way->gateway.words[3];
	} else {
		next.nh_family = AF_INET6;
		__builtin_memcpy(next.ipv6_nh, &way->gateway, sizeof(next.ipv6_nh));
	}
	return bpf_redirect_neigh(way->ifindex, &next, sizeof(next), 0);
}

/* What the host's stack sends out by one interface and another one has the source of: TC_ACT_UNSPEC when it may go. */
__outlined int nic_depart(struct __sk_buff *skb, const struct packet *p)
{
	const struct nic_way *way;

	if (!p)
		return TC_ACT_UNSPEC;
	way = nic_wanted(p);
	if (!way || way->ifindex == skb->ifindex || !nic_at(skb->ifindex, p->ethertype))
		return TC_ACT_UNSPEC;
	if (!way->ifindex)
		return drop(skb, p, DROP_NO_INTERFACE, 0);
	count_forwarded(p, skb->len);
	return nic_redirect(p, way);
}
