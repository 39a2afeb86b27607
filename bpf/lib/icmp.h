/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors quote the packet they are about (RFC 792, RFC 4443 section 3); they belong to that packet's flow. Echo
 * requests and replies are flows of their own by identifier; all other messages are flows without ports.
 */
#pragma once
#include "parse.h"

enum icmp_type {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_SOURCE_QUENCH = 4,
	ICMP4_REDIRECT = 5,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_ERRORS_END = 128, /* types below are errors */
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
};

/* Codes of ICMP4_UNREACHABLE (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1). */
enum icmp4_unreachable {
	ICMP4_NO_HOST = 1,
	ICMP4_NO_PROTOCOL = 2,
	ICMP4_PORT_UNREACHABLE = 3,
	ICMP4_TOO_BIG = 4,
	ICMP4_NETWORK_PROHIBITED = 9,
	ICMP4_HOST_PROHIBITED = 10,
	ICMP4_PROHIBITED = 13,
	ICMP4_PRECEDENCE = 14,
	ICMP4_PRECEDENCE_CUTOFF = 15,
};

/* Codes of ICMP6_UNREACHABLE (RFC 4443 section 3.1). */
enum icmp6_unreachable {
	ICMP6_NO_ROUTE = 0,
	ICMP6_PROHIBITED = 1,
	ICMP6_BEYOND_SCOPE = 2,
	ICMP6_NO_HOST = 3,
	ICMP6_PORT_UNREACHABLE = 4,
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest;
};

enum {
	ICMP_HEADER = 8,
	ICMP_CHECKSUM = 2, /* its offset */
	ICMP_IDENTIFIER = 4,
};

/* Echo requests and replies alone have an identifier that tells flows apart. */
static __always_inline bool icmp_is_echo(__u8 protocol, __u8 type)
{
	return protocol == IPPROTO_ICMP ? type == ICMP4_ECHO || type == ICMP4_ECHO_REPLY
					: type == ICMP6_ECHO || type == ICMP6_ECHO_REPLY;
}

static __always_inline bool icmp_is_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type < ICMP6_ERRORS_END;
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER ||
	       type == ICMP4_SOURCE_QUENCH || type == ICMP4_REDIRECT;
}

/* Sorts an ICMP packet that parse_transport has read. */
static __always_inline void icmp_classify(struct packet *p)
{
	if (likely(!packet_is_icmp(p)))
		return;
	p->icmp_error = icmp_is_error(p->tuple.protocol, p->icmp_type);
	if (!icmp_is_echo(p->tuple.protocol, p->icmp_type))
		p->tuple.source_port = p->tuple.destination_port = 0;
}

/* Ports, or the echo identifier, of a quoted transport header; at least 8 bytes of it are quoted. */
static __always_inline bool icmp_quoted_ports(struct tuple *quoted, struct __sk_buff *skb, __u32 offset)
{
	__be16 words[4];

	if (bpf_skb_load_bytes(skb, offset, words, sizeof(words)))
		return false;
	switch (quoted->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		quoted->source_port = words[0];
		quoted->destination_port = words[1];
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (icmp_is_echo(quoted->protocol, *(__u8 *)words))
			quoted->source_port = quoted->destination_port = words[2];
		break;
	default:
		break;
	}
	return true;
}

static __always_inline bool icmp_quoted4(struct tuple *quoted, struct __sk_buff *skb, __u32 offset)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return false;
	if (ip.frag_off & bpf_htons(0x1fff))
		return false;
	quoted->source = address_from4(ip.saddr);
	quoted->destination = address_from4(ip.daddr);
	quoted->protocol = ip.protocol;
	return icmp_quoted_ports(quoted, skb, offset + ip.ihl * 4);
}

static __always_inline bool icmp_quoted6(struct tuple *quoted, struct __sk_buff *skb, __u32 offset)
{
	struct extension_walk walk = {.offset = offset + sizeof(struct ipv6hdr)};
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	walk.next = ip.nexthdr;
	if (!extension_walk_on(skb, &walk) || walk.fragment == FRAGMENT_LATER)
		return false;
	__builtin_memcpy(&quoted->source, &ip.saddr, sizeof(quoted->source));
	__builtin_memcpy(&quoted->destination, &ip.daddr, sizeof(quoted->destination));
	quoted->protocol = walk.next;
	return icmp_quoted_ports(quoted, skb, walk.offset);
}

/* The addresses, protocol and ports of the packet an ICMP error quotes. False when it quotes too little. */
__outlined bool icmp_quoted(struct __sk_buff *skb, const struct packet *error, struct tuple *quoted)
{
	__u32 offset;

	if (!error || !quoted)
		return false;
	offset = error->transport + ICMP_HEADER;
	return error->ethertype == ETH_P_IP ? icmp_quoted4(quoted, skb, offset) : icmp_quoted6(quoted, skb, offset);
}
