/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors about flows whose packets change the family (RFC 7915 sections 4.2, 4.3, 5.2 and 5.3): the error, and the
 * packet that it quotes, become ones of the family that its receiver knows. A router's IPv4 address becomes one in the
 * prefix by which the pod speaks to IPv4.
 */
#pragma once
#include "icmp.h"
#include "nat64.h"
#include "quoted.h"

struct nat64_error4 {
	struct icmp_header icmp;
	struct iphdr ip;
	struct quoted_transport transport;
};

struct nat64_error6 {
	struct icmp_header icmp;
	struct ipv6hdr ip;
	struct quoted_transport transport;
};

_Static_assert(sizeof(struct nat64_error6) == sizeof(((struct related_room *)0)->from), "room for an error");

/* What is wrong with a header (RFC 792, RFC 4443 section 3.4). */
enum {
	PARAMETER_POINTER = 0,
	PARAMETER_LENGTH4 = 2,
	PARAMETER_NEXT6 = 1,
	NEXT_HEADER_AT = 6, /* where IPv6 names what follows */
	NO_POINTER = 255,
};

/* Where in an IPv6 header is what an error's pointer shows in an IPv4 one (RFC 7915 figure 3). */
static __always_inline __u32 nat64_pointer6(__u32 pointer4)
{
	switch (pointer4) {
	case 0:
	case 1:
		return pointer4;
	case 2:
	case 3:
		return 4;
	case 8:
		return 7;
	case 9:
		return NEXT_HEADER_AT;
	default:
		if (pointer4 >= 12 && pointer4 < 16)
			return 8;
		return pointer4 >= 16 && pointer4 < 20 ? 24 : NO_POINTER;
	}
}

/* The other way round (RFC 7915 figure 6). */
static __always_inline __u32 nat64_pointer4(__u32 pointer6)
{
	switch (pointer6) {
	case 0:
	case 1:
		return pointer6;
	case 4:
	case 5:
		return 2;
	case NEXT_HEADER_AT:
		return 9;
	case 7:
		return 8;
	default:
		if (pointer6 >= 8 && pointer6 < 24)
			return 12;
		return pointer6 >= 24 && pointer6 < 40 ? 16 : NO_POINTER;
	}
}

static __always_inline bool nat64_unreachable6(struct icmp_header *to, const struct icmp_header *from)
{
	__u32 mtu = bpf_ntohl(from->rest) & 0xffff;

	to->type = ICMP6_UNREACHABLE;
	switch (from->code) {
	case ICMP4_NO_PROTOCOL:
		to->type = ICMP6_PARAMETER;
		to->code = PARAMETER_NEXT6;
		to->rest = bpf_htonl(NEXT_HEADER_AT);
		return true;
	case ICMP4_PORT_UNREACHABLE:
		to->code = ICMP6_PORT_UNREACHABLE;
		return true;
	case ICMP4_TOO_BIG:
		to->type = ICMP6_TOO_BIG;
		/* Below that IPv6 knows none; packets of that length may be cut. */
		mtu += NAT64_GROWTH;
		to->rest = bpf_htonl(mtu < NAT64_LEAST_MTU6 ? NAT64_LEAST_MTU6 : mtu);
		return true;
	case ICMP4_NETWORK_PROHIBITED:
	case ICMP4_HOST_PROHIBITED:
	case ICMP4_PROHIBITED:
	case ICMP4_PRECEDENCE_CUTOFF:
		to->code = ICMP6_PROHIBITED;
		return true;
	default:
		to->code = ICMP6_NO_ROUTE;
		return from->code != ICMP4_PRECEDENCE && from->code < ICMP4_PRECEDENCE_CUTOFF;
	}
}

/* What an error says, in IPv6. False for what IPv6 does not have. */
static __always_inline bool nat64_message6(struct icmp_header *to, const struct icmp_header *from)
{
	__u32 pointer = bpf_ntohl(from->rest) >> 24;

	*to = (struct icmp_header){};
	switch (from->type) {
	case ICMP4_UNREACHABLE:
		return nat64_unreachable6(to, from);
	case ICMP4_TIME_EXCEEDED:
		to->type = ICMP6_TIME_EXCEEDED;
		to->code = from->code;
		return true;
	case ICMP4_PARAMETER:
		pointer = nat64_pointer6(pointer);
		to->type = ICMP6_PARAMETER;
		to->rest = bpf_htonl(pointer);
		return pointer != NO_POINTER && (from->code == PARAMETER_POINTER || from->code == PARAMETER_LENGTH4);
	default:
		return false;
	}
}

static __always_inline bool nat64_unreachable4(struct icmp_header *to, const struct icmp_header *from)
{
	to->type = ICMP4_UNREACHABLE;
	switch (from->code) {
	case ICMP6_NO_ROUTE:
	case ICMP6_BEYOND_SCOPE:
	case ICMP6_NO_HOST:
		to->code = ICMP4_NO_HOST;
		return true;
	case ICMP6_PROHIBITED:
		to->code = ICMP4_HOST_PROHIBITED;
		return true;
	case ICMP6_PORT_UNREACHABLE:
		to->code = ICMP4_PORT_UNREACHABLE;
		return true;
	default:
		return false;
	}
}

static __always_inline bool nat64_parameter4(struct icmp_header *to, const struct icmp_header *from)
{
	__u32 pointer = nat64_pointer4(bpf_ntohl(from->rest));

	if (from->code == PARAMETER_NEXT6) {
		to->type = ICMP4_UNREACHABLE;
		to->code = ICMP4_NO_PROTOCOL;
		return true;
	}
	to->type = ICMP4_PARAMETER;
	to->rest = bpf_htonl(pointer << 24);
	return pointer != NO_POINTER && from->code == PARAMETER_POINTER;
}

/* What an error says, in IPv4. False for what IPv4 does not have. */
static __always_inline bool nat64_message4(struct icmp_header *to, const struct icmp_header *from)
{
	__u32 mtu = bpf_ntohl(from->rest);

	*to = (struct icmp_header){};
	switch (from->type) {
	case ICMP6_UNREACHABLE:
		return nat64_unreachable4(to, from);
	case ICMP6_TOO_BIG:
		to->type = ICMP4_UNREACHABLE;
		to->code = ICMP4_TOO_BIG;
		to->rest = bpf_htonl((mtu < NAT64_LEAST_MTU6 ? NAT64_LEAST_MTU6 : mtu) - NAT64_GROWTH);
		return mtu <= 65535;
	case ICMP6_TIME_EXCEEDED:
		to->type = ICMP4_TIME_EXCEEDED;
		to->code = from->code;
		return true;
	case ICMP6_PARAMETER:
		return nat64_parameter4(to, from);
	default:
		return false;
	}
}

/* The quoted ports, or an echo's head; `moved` is the difference that the IP headers make to the checksum. */
static __always_inline void nat64_quote(struct quoted_transport *quoted, const struct nat_value *back, __u8 protocol,
					__s64 moved)
{
	__be32 before = quoted->source_port, after;
	bool request;

	if (protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6) {
		quoted_ports_set(quoted, back, protocol, (__u32)moved);
		return;
	}
	/* The first byte is its type. */
	request = (before & bpf_htons(0xff00)) == bpf_htons((protocol == IPPROTO_ICMP ? ICMP4_ECHO : ICMP6_ECHO) << 8);
	if (protocol == IPPROTO_ICMP)
		after = bpf_htons((request ? ICMP6_ECHO : ICMP6_ECHO_REPLY) << 8);
	else
		after = bpf_htons((request ? ICMP4_ECHO : ICMP4_ECHO_REPLY) << 8);
	quoted->source_port = (__be16)after;
	moved = bpf_csum_diff(&before, sizeof(before), &after, sizeof(after), (__wsum)moved);
	quoted_identifier_set(quoted, back->destination_port, (__u32)moved);
}

static __always_inline void nat64_pseudo_set(struct nat64_pseudo6 *pseudo, const struct address *source,
					     const struct address *destination, __u32 length)
{
	pseudo->source = *source;
	pseudo->destination = *destination;
	pseudo->length = bpf_htonl(length);
	pseudo->protocol = bpf_htonl(IPPROTO_ICMPV6);
}

/* What the quoted packet was in IPv6 when it came; the scratch's forward entry leads against it. */
static __always_inline void nat64_quote6(struct scratch *own, const struct nat64_error4 *from, struct nat64_error6 *to)
{
	struct nat64_pseudo6 *pseudo = (struct nat64_pseudo6 *)own->related.pseudo;
	__u32 length = bpf_ntohs(from->ip.tot_len) - sizeof(from->ip);
	bool echo = from->ip.protocol == IPPROTO_ICMP;
	__s64 moved;

	to->ip = (struct ipv6hdr){
	    .version = 6,
	    .priority = from->ip.tos >> 4,
	    .flow_lbl = {(__u8)(from->ip.tos << 4)},
	    .payload_len = bpf_htons((__u16)length),
	    .nexthdr = nat_protocol(&own->forward, from->ip.protocol),
	    .hop_limit = from->ip.ttl,
	};
	__builtin_memcpy(&to->ip.saddr, &own->forward.destination, sizeof(to->ip.saddr));
	__builtin_memcpy(&to->ip.daddr, &own->forward.source, sizeof(to->ip.daddr));
	nat64_pseudo_set(pseudo, &own->forward.destination, &own->forward.source, length);
	if (echo)
		moved = bpf_csum_diff(0, 0, (__be32 *)pseudo, sizeof(*pseudo), 0);
	else
		moved = bpf_csum_diff((__be32 *)&from->ip.saddr, 8, (__be32 *)pseudo, 32, 0);
	to->transport = from->transport;
	nat64_quote(&to->transport, &own->forward, from->ip.protocol, moved);
}

/* The other way round. */
static __always_inline void nat64_quote4(struct scratch *own, const struct nat64_error6 *from, struct nat64_error4 *to)
{
	struct nat64_pseudo6 *pseudo = (struct nat64_pseudo6 *)own->related.pseudo;
	__u32 length = bpf_ntohs(from->ip.payload_len);
	bool echo = from->ip.nexthdr == IPPROTO_ICMPV6;
	__s64 moved;

	to->ip = (struct iphdr){
	    .version = 4,
	    .ihl = 5,
	    .tos = (__u8)(from->ip.priority << 4 | from->ip.flow_lbl[0] >> 4),
	    .tot_len = bpf_htons((__u16)(length + sizeof(to->ip))),
	    .frag_off = bpf_htons(0x4000),
	    .ttl = from->ip.hop_limit,
	    .protocol = nat_protocol(&own->forward, from->ip.nexthdr),
	    .saddr = own->forward.destination.words[3],
	    .daddr = own->forward.source.words[3],
	};
	to->ip.check = checksum_ipv4(&to->ip);
	__builtin_memcpy(&pseudo->source, &from->ip.saddr, sizeof(pseudo->source));
	__builtin_memcpy(&pseudo->destination, &from->ip.daddr, sizeof(pseudo->destination));
	pseudo->length = bpf_htonl(length);
	pseudo->protocol = bpf_htonl(IPPROTO_ICMPV6);
	if (echo)
		moved = bpf_csum_diff((__be32 *)pseudo, sizeof(*pseudo), 0, 0, 0);
	else
		moved = bpf_csum_diff((__be32 *)pseudo, 32, (__be32 *)&to->ip.saddr, 8, 0);
	to->transport = from->transport;
	nat64_quote(&to->transport, &own->forward, from->ip.nexthdr, moved);
}

/*
 * Makes a packet this error: its IP header, and behind it the message up to the quoted ports, which were `before`
 * bytes.
 */
static __always_inline bool nat64_store_error(struct __sk_buff *skb, __u16 ethertype, const void *ip, __u32 header,
					      const void *error, __u32 size, __u32 before)
{
	return nat64_store(skb, ethertype, ip, header) &&
	       !bpf_skb_adjust_room(skb, (__s32)(size - before), BPF_ADJ_ROOM_NET, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN + header, error, size, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline void nat64_related_set(struct packet *p, const struct icmp_header *icmp)
{
	p->icmp_type = icmp->type;
	p->icmp_code = icmp->code;
	p->translated = 1;
}

/* An error from outside becomes one for the pod; the scratch's forward entry leads against what it quotes. */
__outlined bool nat64_related6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip = {.version = 6, .nexthdr = IPPROTO_ICMPV6};
	struct scratch *own = scratch();
	struct nat64_error4 *from;
	struct nat64_error6 *to;
	__u32 length;
	__u16 old;
	__s64 sum;

	if (!p || !own || p->transport != IPV4_PLAIN_END)
		return false;
	from = (struct nat64_error4 *)own->related.from;
	to = (struct nat64_error6 *)own->related.to;
	if (bpf_skb_load_bytes(skb, IPV4_PLAIN_END, from, sizeof(*from)) || from->ip.ihl != 5 ||
	    !nat64_message6(&to->icmp, &from->icmp))
		return false;
	nat64_quote6(own, from, to);
	length = p->end - IPV4_PLAIN_END + NAT64_GROWTH;
	own->to.source = own->forward.source;
	own->to.source.words[3] = p->tuple.source.words[3];
	nat64_pseudo_set((struct nat64_pseudo6 *)own->related.pseudo, &own->to.source, &own->forward.destination,
			 length);
	old = from->icmp.checksum;
	from->icmp.checksum = 0;
	sum = bpf_csum_diff(0, 0, own->related.pseudo, sizeof(own->related.pseudo), 0);
	sum = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), (__wsum)sum);
	to->icmp.checksum = checksum_move(old, (__u32)sum);
	ip.payload_len = bpf_htons((__u16)length);
	ip.hop_limit = p->ttl;
	__builtin_memcpy(&ip.saddr, &own->to.source, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &own->forward.destination, sizeof(ip.daddr));
	if (!nat64_store_error(skb, ETH_P_IPV6, &ip, sizeof(ip), to, sizeof(*to), sizeof(*from)))
		return false;
	p->ethertype = ETH_P_IPV6;
	p->transport = IPV6_PLAIN_END;
	p->end = IPV6_PLAIN_END + length;
	p->tuple.source = own->to.source;
	p->tuple.destination = own->forward.destination;
	p->tuple.protocol = IPPROTO_ICMPV6;
	nat64_related_set(p, &to->icmp);
	return true;
}

/* An error of a pod becomes one for who is outside, by this node's address. */
__outlined bool nat64_related4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip = {.version = 4, .ihl = 5, .protocol = IPPROTO_ICMP};
	struct scratch *own = scratch();
	struct nat64_error6 *from;
	struct nat64_error4 *to;
	__u32 length;
	__u16 old;
	__s64 sum;

	if (!p || !own || p->transport != IPV6_PLAIN_END)
		return false;
	from = (struct nat64_error6 *)own->related.from;
	to = (struct nat64_error4 *)own->related.to;
	if (bpf_skb_load_bytes(skb, IPV6_PLAIN_END, from, sizeof(*from)) || is_extension(from->ip.nexthdr) ||
	    !nat64_message4(&to->icmp, &from->icmp))
		return false;
	nat64_quote4(own, from, to);
	length = p->end - IPV6_PLAIN_END;
	nat64_pseudo_set((struct nat64_pseudo6 *)own->related.pseudo, &p->tuple.source, &p->tuple.destination, length);
	old = from->icmp.checksum;
	from->icmp.checksum = 0;
	sum = bpf_csum_diff(own->related.pseudo, sizeof(own->related.pseudo), 0, 0, 0);
	sum = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), (__wsum)sum);
	to->icmp.checksum = checksum_move(old, (__u32)sum);
	/* Less by what its quoted header is shorter. */
	ip.tot_len = bpf_htons((__u16)(sizeof(ip) + length - NAT64_GROWTH));
	ip.id = (__be16)bpf_get_prandom_u32();
	ip.ttl = p->ttl;
	ip.saddr = own->forward.source.words[3];
	ip.daddr = own->forward.destination.words[3];
	ip.check = checksum_ipv4(&ip);
	if (!nat64_store_error(skb, ETH_P_IP, &ip, sizeof(ip), to, sizeof(*to), sizeof(*from)))
		return false;
	p->ethertype = ETH_P_IP;
	p->transport = IPV4_PLAIN_END;
	p->end = IPV4_PLAIN_END + length - NAT64_GROWTH;
	p->tuple.source = own->forward.source;
	p->tuple.destination = own->forward.destination;
	p->tuple.protocol = IPPROTO_ICMP;
	nat64_related_set(p, &to->icmp);
	return true;
}

/* Returns the reason to drop the error, or DROP_NONE. */
static __always_inline enum drop_reason nat64_related(struct __sk_buff *skb, struct packet *p)
{
	bool done = p->ethertype == ETH_P_IP ? nat64_related6(skb, p) : nat64_related4(skb, p);

	return done ? DROP_NONE : DROP_NAT64_FORM;
}
