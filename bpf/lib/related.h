/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors about flows that are translated. What an error quotes is a packet as it went on; who sent that packet
 * knows it as it came. So the quoted addresses and ports are taken back, the error goes to whom the quoted packet came
 * from, and what the flow's other end says of itself, it says as the one it is taken for. Errors of routers keep their
 * source.
 */
#pragma once
#include "balance.h"
#include "checksum.h"
#include "icmp.h"
#include "nat.h"
#include "nat64-related.h"
#include "quoted.h"

struct quoted4 {
	struct iphdr ip;
	struct quoted_transport transport;
};

struct quoted6 {
	struct ipv6hdr ip;
	struct quoted_transport transport;
};

/* Writes what is quoted, and the error's checksum with it. */
static __always_inline bool related_store(struct __sk_buff *skb, const struct packet *p, __be32 *before, __be32 *after,
					  __u32 size)
{
	__u32 moved = (__u32)bpf_csum_diff(before, size, after, size, 0);

	return !bpf_skb_store_bytes(skb, p->transport + ICMP_HEADER, after, size, 0) &&
	       !bpf_l4_csum_replace(skb, p->transport + ICMP_CHECKSUM, 0, moved, 0);
}

static __always_inline bool related_quoted4(struct __sk_buff *skb, const struct packet *p, const struct nat_value *back)
{
	struct quoted4 before, after;
	__u32 moved;

	if (bpf_skb_load_bytes(skb, p->transport + ICMP_HEADER, &before, sizeof(before)) || before.ip.ihl != 5)
		return false;
	after = before;
	after.ip.saddr = back->destination.words[3];
	after.ip.daddr = back->source.words[3];
	moved = (__u32)bpf_csum_diff(&before.ip.saddr, 8, &after.ip.saddr, 8, 0);
	after.ip.check = checksum_move(before.ip.check, moved);
	quoted_ports_set(&after.transport, back, before.ip.protocol, moved);
	return related_store(skb, p, (__be32 *)&before, (__be32 *)&after, sizeof(after));
}

static __always_inline bool related_quoted6(struct __sk_buff *skb, const struct packet *p, const struct nat_value *back)
{
	struct quoted6 before, after;
	__u32 moved;

	if (bpf_skb_load_bytes(skb, p->transport + ICMP_HEADER, &before, sizeof(before)) ||
	    is_extension(before.ip.nexthdr))
		return false;
	after = before;
	__builtin_memcpy(&after.ip.saddr, &back->destination, sizeof(after.ip.saddr));
	__builtin_memcpy(&after.ip.daddr, &back->source, sizeof(after.ip.daddr));
	moved = (__u32)bpf_csum_diff((__be32 *)&before.ip.saddr, 32, (__be32 *)&after.ip.saddr, 32, 0);
	quoted_ports_set(&after.transport, back, before.ip.nexthdr, moved);
	return related_store(skb, p, (__be32 *)&before, (__be32 *)&after, sizeof(after));
}

/* Makes the error one about the quoted packet as it came; `back` leads against it. */
__outlined bool related_rewrite(struct __sk_buff *skb, struct packet *p, const struct nat_value *back)
{
	if (!p || !back)
		return false;
	return p->ethertype == ETH_P_IP ? related_quoted4(skb, p, back) : related_quoted6(skb, p, back);
}

/*
 * The translation that leads against a quoted packet, into the scratch, and its flow's flags into p->ct_flags. False
 * when it is translated by none; a flow that nobody translates may have a reply's tuple by now.
 */
__outlined bool related_find(struct packet *p, const struct tuple *quoted)
{
	struct scratch *own = scratch();
	const struct nat_value *back;
	struct nat_key key;

	if (!p || !quoted || !own)
		return false;
	p->ct_flags = ct_flags_of(quoted);
	nat_key_set_against(&key, quoted);
	back = bpf_map_lookup_elem(&translations, &key);
	if (!back || (back->flags & NAT_REPLY && p->ct_flags && !(p->ct_flags & CT_TRANSLATED)))
		return false;
	own->forward = *back;
	if (nic_flags)
		p->device = back->ifindex;
	return true;
}

/* Takes an ICMP error to the flow that it is about. Returns the reason to drop it, or DROP_NONE. */
__outlined enum drop_reason related(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();
	struct tuple quoted = {};
	bool from_end;

	if (!p || !own)
		return DROP_MALFORMED;
	if (!icmp_quoted(skb, p, &quoted) || !related_find(p, &quoted))
		/* About no flow of a service: nobody else has the address. */
		return balance_owns(p) ? DROP_CT_INVALID : DROP_NONE;
	/* Of what a backend of another node has answered itself: that node makes it the backend's. */
	if (nat_is_dsr(&own->forward) && wrap_is_on()) {
		p->tuple.destination = own->forward.destination;
		p->dsr = PACKET_DSR_SENT;
		p->translated = 1;
		return DROP_NONE;
	}
	from_end = address_equal(&p->tuple.source, &quoted.destination);
	if (own->forward.flags & NAT_OTHER_FAMILY)
		return nat64_related(skb, p);
	if (!related_rewrite(skb, p, &own->forward))
		return DROP_MALFORMED;
	if (!(own->forward.flags & NAT_REPLY)) {
		quoted = nat_tuple(&own->forward, quoted.protocol);
		p->ct_flags = ct_flags_of(&quoted);
	}
	if (!from_end)
		own->forward.source = p->tuple.source;
	own->forward.source_port = p->tuple.source_port;
	own->forward.destination_port = p->tuple.destination_port;
	return nat_rewrite(skb, p, &own->forward) ? DROP_NONE : DROP_MALFORMED;
}
