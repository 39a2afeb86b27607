/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Pods' packets that leave the cluster: whoever is there does not know the pods' addresses, so a flow is given an
 * address of the device that it leaves by, and a port that is free there. Replies come back as all translated flows'
 * do.
 */
#pragma once
#include "nat-port.h"
#include "route.h"

static __always_inline bool masquerade_has(__u16 ethertype)
{
	return masquerade_flags & (ethertype == ETH_P_IP ? MASQUERADE_IPV4 : MASQUERADE_IPV6);
}

/* Whether an address of the cluster, which the ipcache knows, is one that others stand for senders at all the same. */
static __always_inline bool masquerade_takes_node(const struct ipcache_value *node)
{
	return node->flags & IPCACHE_NODE && masquerade_flags & MASQUERADE_NODES;
}

/*
 * Whether the sender's address is not one that native ranges know: where pods have addresses of network interfaces,
 * only those.
 */
static __always_inline bool masquerade_is_foreign(const struct packet *p)
{
	return nic_flags && !nic_of(&p->tuple.source);
}

/*
 * Whether who has an address is outside: neither on this node, nor on another, nor where the sender's address is known.
 */
static __always_inline bool masquerade_is_outside(const struct packet *p, const struct address *address)
{
	struct range_key range = {.prefix_length = 128, .address = *address};
	const struct ipcache_value *node;

	/* Linux 6.1 takes no key from a global function's argument, which the address may be part of. */
	if (endpoint_of(&range.address) || route_stays_on_link(address))
		return false;
	node = node_of(address);
	if (node)
		return masquerade_takes_node(node);
	return !bpf_map_lookup_elem(&native_ranges, &range) || masquerade_is_foreign(p);
}

/*
 * Whether a packet whose flow nobody knows, and that goes on to an address, can be the first of one that this node's
 * pod opens: an answer cannot.
 */
static __always_inline bool masquerade_concerns(const struct packet *p, const struct address *to)
{
	if (p->tuple.protocol == IPPROTO_TCP && p->tcp_flags & TCP_SYN && p->tcp_flags & TCP_ACK)
		return false;
	return masquerade_is_outside(p, to);
}

/* The device that the way to an address, of either family, leads out by; 0 when there is no way. */
__outlined __u32 masquerade_device(struct __sk_buff *skb, const struct packet *p, const struct address *to)
{
	struct bpf_fib_lookup fib = {};
	long result;

	if (!p || !to)
		return 0;
	/* Without a length: who sends too much is told when it is sent. */
	route_fib_ask(&fib, skb->ifindex, 0, p);
	if (!address_is4(to)) {
		__builtin_memcpy(fib.ipv6_dst, to, sizeof(fib.ipv6_dst));
	} else {
		if (p->ethertype != ETH_P_IP)
			fib.ipv4_src = 0;
		fib.family = AF_INET;
		fib.ipv4_dst = to->words[3];
	}
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    result != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return fib.ifindex;
}

/* Whether a protocol has ports, or what is one for translation. */
static __always_inline bool masquerade_has_ports(const struct packet *p)
{
	__u8 protocol = p->tuple.protocol;

	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       (packet_is_icmp(p) && icmp_is_echo(protocol, p->icmp_type));
}

/*
 * Makes one of a device's addresses the source of the scratch's forward entry, the number modulo their count. Returns
 * how many there are.
 */
__outlined __u32 masquerade_address(__u32 device, __u32 family, __u32 number)
{
	struct egress_key key = {.ifindex = device, .family = (__u16)family};
	const struct egress_address *given = bpf_map_lookup_elem(&egress_addresses, &key);
	struct scratch *own = scratch();
	__u32 count;

	if (!given || !own || !given->count)
		return 0;
	count = given->count;
	key.index = (__u16)(number % count);
	given = bpf_map_lookup_elem(&egress_addresses, &key);
	if (!given)
		return 0;
	own->forward.source = given->address;
	return count;
}

/* Which of several addresses is tried first: a pod's flows have one in common. */
static __always_inline __u32 masquerade_number(const struct address *pod)
{
	return (pod->words[2] ^ pod->words[3]) * 0x9e3779b1 >> 16;
}

/*
 * Gives a flow that begins with this packet and goes on as the scratch's forward entry says an address of a device, and
 * both its entries.
 */
__outlined enum drop_reason masquerade_open(struct __sk_buff *skb, const struct packet *p, __u32 device)
{
	struct scratch *own = scratch();
	bool ports = p && masquerade_has_ports(p);
	enum drop_reason reason;
	__u32 family, number;

	if (!p || !own)
		return DROP_MALFORMED;
	if (!ports && !(masquerade_flags & MASQUERADE_PROTOCOLS))
		return DROP_NAT_PROTOCOL;
	family = address_is4(&own->forward.destination) ? FAMILY_IPV4 : FAMILY_IPV6;
	number = masquerade_number(&p->tuple.source);
	own->forward.flags = NAT_EGRESS | (own->forward.flags & NAT_OTHER_FAMILY);
	for (__u32 i = 0; i < EGRESS_ADDRESSES; i++) {
		if (i >= masquerade_address(device, family, number + i))
			break;
		reason = nat_open(skb, &p->tuple, ports ? NAT_KEEP | NAT_OTHER : NAT_KEEP);
		if (reason != DROP_NAT_PORTS)
			return reason;
	}
	return DROP_NAT_PORTS;
}

/*
 * The device by which a packet that goes on to an address leaves the cluster, if one of this node's addresses stands
 * for its sender there; else 0.
 */
static __always_inline __u32 masquerade_way(struct __sk_buff *skb, const struct packet *p, const struct address *to)
{
	__u32 device, family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;

	if (!masquerade_concerns(p, to))
		return 0;
	device = masquerade_device(skb, p, to);
	return masquerade_address(device, family, 0) ? device : 0;
}
