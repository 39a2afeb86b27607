/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Translation of addresses and ports. A flow is known by two tuples: that of its packets as they come, and that as they
 * go on, which is the one that conntrack has. The map translations leads from the one to the other in both directions;
 * a flow owns its second tuple for as long as conntrack knows it.
 */
#pragma once
#include <linux/errno.h>
#include "crc32c.h"
#include "ct.h"
#include "icmp.h"

enum {
	/* Offsets in headers. */
	IPV4_CHECKSUM = IPV4_START + 10,
	IPV4_ADDRESSES = IPV4_START + 12,
	IPV6_ADDRESSES = ETH_HLEN + 8,
	TCP_CHECKSUM = 16,
	UDP_CHECKSUM = 6,
	SCTP_CHECKSUM = 8,
	/* Source ports that are tried for one flow. */
	NAT_TRIES = 32,
	NAT_PORT_FIRST = 1024,
	NAT_PORTS = 65536 - NAT_PORT_FIRST,
};

static __always_inline struct nat_key nat_key_of(const struct tuple *t)
{
	return (struct nat_key){
	    .source = t->source,
	    .destination = t->destination,
	    .source_port = t->source_port,
	    .destination_port = t->destination_port,
	    .protocol = t->protocol,
	};
}

static __always_inline struct nat_key nat_key_against(const struct tuple *t)
{
	return (struct nat_key){
	    .source = t->destination,
	    .destination = t->source,
	    .source_port = t->destination_port,
	    .destination_port = t->source_port,
	    .protocol = t->protocol,
	};
}

static __always_inline void nat_value_set(struct nat_value *value, const struct tuple *t, __u32 backend)
{
	value->source = t->source;
	value->destination = t->destination;
	value->source_port = t->source_port;
	value->destination_port = t->destination_port;
	value->flags = 0;
	value->backend = backend;
	value->pad = 0;
}

/* What a packet goes on as. */
static __always_inline struct tuple nat_tuple(const struct nat_value *value, __u8 protocol)
{
	return (struct tuple){
	    .source = value->source,
	    .destination = value->destination,
	    .source_port = value->source_port,
	    .destination_port = value->destination_port,
	    .protocol = protocol,
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
	case IPPROTO_ICMPV6:
		return p->ethertype == ETH_P_IPV6 ? p->transport + ICMP_CHECKSUM : 0;
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

/* Whether a flow may have this tuple: nobody has it, or a flow that is over. */
static __always_inline bool nat_is_free(const struct tuple *t)
{
	const struct ct_value *entry = ct_find(t);

	return !ct_live(entry) || ct_closed(entry->flags);
}

/* Whether a flow that comes as `from` has this tuple already. */
static __always_inline bool nat_is_own(const struct tuple *t, const struct tuple *from)
{
	struct nat_key against = nat_key_against(t);
	const struct nat_value *reply = bpf_map_lookup_elem(&translations, &against);

	return reply && address_equal(&reply->destination, &from->source) &&
	       address_equal(&reply->source, &from->destination) && reply->destination_port == from->source_port &&
	       reply->source_port == from->destination_port;
}

/* A source port that is not reserved. */
static __always_inline __be16 nat_port(__u32 number)
{
	__u32 reserved = reserved_ports_last - reserved_ports_first + 1;
	__u32 port = NAT_PORT_FIRST + number % (NAT_PORTS - reserved);

	return bpf_htons((__u16)(port < reserved_ports_first ? port : port + reserved));
}

static __always_inline bool nat_port_is_reserved(__be16 port)
{
	return bpf_ntohs(port) >= reserved_ports_first && bpf_ntohs(port) <= reserved_ports_last;
}

/* Where the search for a port begins: the ports of one client to one service lead to as many others. */
static __always_inline __u32 nat_port_start(const struct tuple *from)
{
	__u32 service = from->destination.words[3] ^ from->destination.words[2] ^ from->destination_port;

	return (service * 0x9e3779b1 >> 8) + bpf_ntohs(from->source_port);
}

enum nat_claim {
	NAT_TAKEN,
	NAT_FREE,
	NAT_OVER,       /* a connection had it that is over, and its server knows nothing of it any more */
	NAT_REMEMBERED, /* likewise, but the server remembers it, and will take this segment for a new one's all the
			   same */
};

/*
 * What a flow that comes as `from` would find with a tuple. A server that remembers a connection takes the next one's
 * first segment if its sequence number is beyond all that the old one sent, or its timestamp is: those of two clients,
 * or of one that believes to speak to two services, have nothing to do with each other (RFC 9293 section 3.10.7.4, RFC
 * 6191; Linux: tcp_timewait_state_process).
 */
static __always_inline enum nat_claim nat_claim(const struct tuple *to, const struct tuple *from,
						const struct scratch *own)
{
	const struct ct_value *entry = ct_find(to);

	if (!ct_live(entry) || nat_is_own(to, from))
		return NAT_FREE;
	if (to->protocol != IPPROTO_TCP || !own->opens || !ct_closed(entry->flags) || !(entry->flags & CT_TRANSLATED))
		return NAT_TAKEN;
	if (!(entry->flags & CT_WAITS) || entry->flags & CT_RST)
		return NAT_OVER;
	return (__s32)(own->sequence - entry->end) > 0 ? NAT_REMEMBERED : NAT_TAKEN;
}

/* What a connection had that is over is taken where so many others have been tried. */
#define NAT_PICKY_TRIES 4

/*
 * Finds a source port with which a tuple is free. Its own is tried first, unless it must not be kept, then so many
 * others, NAT_TRIES at most. Returns whether there is one.
 */
__outlined bool nat_find_port(struct tuple *to, const struct tuple *from, bool keep, __u32 tries)
{
	struct scratch *own = scratch();
	enum nat_claim claim, second = NAT_TAKEN;
	__be16 second_port = 0;
	__u32 number;

	if (!to || !from || !own)
		return false;
	own->remembered = 0;
	if (keep && nat_claim(to, from, own) == NAT_FREE)
		return true;
	number = nat_port_start(from);
	for (__u32 i = 0; i < NAT_TRIES && i < tries; i++) {
		to->source_port = nat_port(number);
		claim = nat_claim(to, from, own);
		if (claim == NAT_FREE)
			return true;
		/* That its server remembers it costs more than that it was another's a moment ago. */
		if (claim == NAT_OVER || (claim == NAT_REMEMBERED && second == NAT_TAKEN)) {
			second = claim;
			second_port = to->source_port;
		}
		if (second && i >= NAT_PICKY_TRIES)
			break;
		number = bpf_get_prandom_u32();
	}
	to->source_port = second_port;
	own->remembered = second == NAT_REMEMBERED;
	return second;
}

/* A packet with this tuple is no longer translated. */
__outlined int nat_forget(const struct tuple *t)
{
	struct nat_key key;

	if (!t)
		return 0;
	key = nat_key_of(t);
	bpf_map_delete_elem(&translations, &key);
	return 0;
}

/* The flow that had a tuple before loses what leads to it and back: of two that lead there one would be wrong. */
__outlined int nat_release(const struct tuple *to)
{
	const struct nat_value *former;
	struct nat_key against, came;

	if (!to)
		return 0;
	against = nat_key_against(to);
	former = bpf_map_lookup_elem(&translations, &against);
	if (!former || !(former->flags & NAT_REPLY))
		return 0;
	came.source = former->destination;
	came.destination = former->source;
	came.source_port = former->destination_port;
	came.destination_port = former->source_port;
	came.protocol = to->protocol;
	__builtin_memset(came.pad, 0, sizeof(came.pad));
	bpf_map_delete_elem(&translations, &came);
	bpf_map_delete_elem(&translations, &against);
	return 0;
}

/*
 * Writes both entries of a flow that comes as `from` and goes on as the scratch's forward entry says, from the same
 * port if it may keep it and nobody has it; one that bypasses a node on its way back has to. Linux 6.1 takes no value
 * for a map from a global function's argument.
 */
__outlined enum drop_reason nat_open(const struct tuple *from, bool keep)
{
	struct scratch *own = scratch();
	struct nat_value *forward, *reply;
	struct nat_key key;
	struct tuple to;

	if (!from || !own)
		return DROP_MALFORMED;
	forward = &own->forward;
	reply = &own->reply;
	to = nat_tuple(forward, from->protocol);
	if (!nat_find_port(&to, from, keep, forward->flags & (NAT_DSR | NAT_DIRECT) ? 0 : NAT_TRIES))
		return DROP_NAT_PORTS;
	nat_release(&to);
	forward->source_port = to.source_port;
	forward->created = bpf_ktime_get_coarse_ns();
	*reply = *forward;
	reply->source = from->destination;
	reply->destination = from->source;
	reply->source_port = from->destination_port;
	reply->destination_port = from->source_port;
	reply->flags |= NAT_REPLY;
	key = nat_key_against(&to);
	if (bpf_map_update_elem(&translations, &key, reply, BPF_ANY))
		return DROP_NAT_FULL;
	key = nat_key_of(from);
	return bpf_map_update_elem(&translations, &key, forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}

/* What a flow that comes as `from` goes on as by the scratch's forward entry, but for the port that it is given. */
static __always_inline struct tuple nat_bare(const struct scratch *own, const struct tuple *from)
{
	struct tuple bare = nat_tuple(&own->forward, from->protocol);

	bare.source_port = from->source_port;
	return bare;
}

/* Whether the flow that had that tuple is over. */
__outlined bool nat_bare_is_free(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;

	if (!from || !own)
		return false;
	bare = nat_bare(own, from);
	return nat_is_free(&bare);
}

/* Packets that come with that tuple go on as the forward entry says, too. */
__outlined enum drop_reason nat_open_bare(const struct tuple *from)
{
	struct scratch *own = scratch();
	struct tuple bare;
	struct nat_key key;

	if (!from || !own)
		return DROP_MALFORMED;
	bare = nat_bare(own, from);
	key = nat_key_of(&bare);
	return bpf_map_update_elem(&translations, &key, &own->forward, BPF_ANY) ? DROP_NAT_FULL : DROP_NONE;
}
