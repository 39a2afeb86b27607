/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Translation of addresses and ports: what a packet becomes. A flow is known by two tuples: that of its packets as they
 * come, and that as they go on, which is the one that conntrack has. The map translations leads from the one to the
 * other in both directions.
 */
#pragma once
#include <linux/errno.h>
#include "crc32c.h"
#include "ct.h"
#include "icmp.h"
#include "nat-key.h"

enum {
	/* Offsets in headers. */
	IPV4_CHECKSUM = IPV4_START + 10,
	IPV4_ADDRESSES = IPV4_START + 12,
	IPV6_ADDRESSES = ETH_HLEN + 8,
	TCP_CHECKSUM = 16,
	UDP_CHECKSUM = 6,
	SCTP_CHECKSUM = 8,
};

static __always_inline void nat_value_set(struct nat_value *value, const struct tuple *t, __u32 backend)
{
	value->source = t->source;
	value->destination = t->destination;
	value->source_port = t->source_port;
	value->destination_port = t->destination_port;
	value->flags = 0;
	value->backend = backend;
	value->ifindex = 0;
}

/* What a packet of a protocol goes on as. */
static __always_inline struct tuple nat_tuple(const struct nat_value *value, __u8 protocol)
{
	return (struct tuple){
	    .source = value->source,
	    .destination = value->destination,
	    .source_port = value->source_port,
	    .destination_port = value->destination_port,
	    .protocol = nat_protocol(value, protocol),
	};
}

/* Whether a packet goes to a backend of another node that answers the client itself. */
static __always_inline bool nat_is_dsr(const struct nat_value *value)
{
	return (value->flags & (NAT_DSR | NAT_REPLY)) == NAT_DSR;
}

static __always_inline struct nat_value *nat_find(const struct tuple *t)
{
	struct nat_key key = nat_key_of(t);

	return bpf_map_lookup_elem(&translations, &key);
}

/* Of a protocol without connections: whether who serves a flow is still there. */
static __always_inline bool nat_backend_is_there(const struct nat_value *known)
{
	return !known->backend || bpf_map_lookup_elem(&backends, &known->backend);
}

/* The addresses of the IP header, both at once; checksums over them follow. */
static __always_inline bool nat_write4(struct __sk_buff *skb, const struct packet *p, const struct nat_value *to,
				       __s64 *difference)
{
	__be32 before[2] = {p->tuple.source.words[3], p->tuple.destination.words[3]};
	__be32 after[2] = {to->source.words[3], to->destination.words[3]};

	*difference = bpf_csum_diff(before, sizeof(before), after, sizeof(after), 0);
	return !bpf_skb_store_bytes(skb, IPV4_ADDRESSES, after, sizeof(after), 0) &&
	       !bpf_l3_csum_replace(skb, IPV4_CHECKSUM, 0, (__u64)*difference, 0);
}

static __always_inline bool nat_write6(struct __sk_buff *skb, const struct packet *p, const struct nat_value *to,
				       __s64 *difference)
{
	struct address before[2] = {p->tuple.source, p->tuple.destination};
	struct address after[2] = {to->source, to->destination};

	*difference = bpf_csum_diff((__be32 *)before, sizeof(before), (__be32 *)after, sizeof(after), 0);
	return !bpf_skb_store_bytes(skb, IPV6_ADDRESSES, after, sizeof(after), 0);
}

/* Where the transport header has a checksum over addresses and ports; 0 when it has none. */
static __always_inline __u32 nat_checksum_at(const struct packet *p)
{
	switch (p->tuple.protocol) {
	case IPPROTO_TCP:
		return p->transport + TCP_CHECKSUM;
	case IPPROTO_UDP:
		return p->transport + UDP_CHECKSUM;
	default:
		return 0;
	}
}

/*
 * SCTP's checksum covers the whole packet, but no addresses. What a device is to fill in is zero until then; of a sum
 * that is zero by itself, which one in four billion is, the receiver drops the packet.
 */
static __always_inline bool nat_write_sctp(struct __sk_buff *skb, const struct packet *p, __be16 *before, __be16 *after)
{
	__u32 checksum, old, new;

	if (bpf_skb_load_bytes(skb, p->transport + SCTP_CHECKSUM, &checksum, sizeof(checksum)))
		return false;
	__builtin_memcpy(&old, before, sizeof(old));
	__builtin_memcpy(&new, after, sizeof(new));
	if (checksum)
		checksum ^= crc32c_change(old ^ new, p->end - p->transport - sizeof(new));
	return !bpf_skb_store_bytes(skb, p->transport, after, sizeof(new), BPF_F_RECOMPUTE_CSUM) &&
	       !bpf_skb_store_bytes(skb, p->transport + SCTP_CHECKSUM, &checksum, sizeof(checksum),
				    BPF_F_RECOMPUTE_CSUM);
}

/* ICMP has an identifier instead of ports, and in IPv6 a checksum over addresses too. */
static __always_inline bool nat_write_icmp(struct __sk_buff *skb, const struct packet *p, __be16 id, __s64 difference)
{
	__u32 at = p->transport + ICMP_CHECKSUM;

	if (p->ethertype == ETH_P_IPV6) {
		if (bpf_l4_csum_replace(skb, at, 0, (__u64)difference, BPF_F_PSEUDO_HDR))
			return false;
		bpf_csum_update(skb, (__wsum)difference);
	}
	if (p->tuple.source_port == id)
		return true;
	return !bpf_l4_csum_replace(skb, at, p->tuple.source_port, id, sizeof(id)) &&
	       !bpf_skb_store_bytes(skb, p->transport + ICMP_IDENTIFIER, &id, sizeof(id), 0);
}

static __always_inline bool nat_write_transport(struct __sk_buff *skb, const struct packet *p,
						const struct nat_value *to, __s64 difference)
{
	/* A UDP checksum of 0 is none and stays so. */
	__u64 flags = p->tuple.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__be16 before[2] = {p->tuple.source_port, p->tuple.destination_port};
	__be16 after[2] = {to->source_port, to->destination_port};
	__u32 at = nat_checksum_at(p);
	__u32 old, new;

	if (p->tuple.protocol == IPPROTO_SCTP)
		return nat_write_sctp(skb, p, before, after);
	if (packet_is_icmp(p))
		return nat_write_icmp(skb, p, after[0], difference);
	if (!at)
		return true;
	if (bpf_l4_csum_replace(skb, at, 0, (__u64)difference, flags | BPF_F_PSEUDO_HDR))
		return false;
	/*
	 * The helper balances a sum over the whole packet (CHECKSUM_COMPLETE) as if the IP header had a checksum of its
	 * own, which in IPv6 it has not: taken back.
	 */
	if (p->ethertype == ETH_P_IPV6)
		bpf_csum_update(skb, (__wsum)difference);
	__builtin_memcpy(&old, before, sizeof(old));
	__builtin_memcpy(&new, after, sizeof(new));
	if (old == new)
		return true;
	return !bpf_l4_csum_replace(skb, at, old, new, flags | sizeof(new)) &&
	       !bpf_skb_store_bytes(skb, p->transport, after, sizeof(after), 0);
}

/* Whether the packet can be made that: SCTP's checksum follows its ports only where the whole of it is seen. */
static __always_inline bool nat_is_possible(const struct packet *p, const struct nat_value *to)
{
	return p->tuple.protocol != IPPROTO_SCTP || !p->fragment ||
	       (p->tuple.source_port == to->source_port && p->tuple.destination_port == to->destination_port);
}

/* Makes the packet what it goes on as: addresses, ports, checksums, and the cursor's view of them. */
__outlined bool nat_rewrite(struct __sk_buff *skb, struct packet *p, const struct nat_value *to)
{
	__s64 difference;

	if (!p || !to)
		return false;
	if (!(p->ethertype == ETH_P_IP ? nat_write4(skb, p, to, &difference) : nat_write6(skb, p, to, &difference)))
		return false;
	if (p->fragment != FRAGMENT_LATER && !nat_write_transport(skb, p, to, difference))
		return false;
	p->tuple.source = to->source;
	p->tuple.destination = to->destination;
	p->tuple.source_port = to->source_port;
	p->tuple.destination_port = to->destination_port;
	p->translated = 1;
	return true;
}
