/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers of this node in the name of a service's address, which no stack has: echo replies, and that nobody serves.
 * The packet that is answered is turned around.
 */
#pragma once
#include "balance.h"
#include "checksum.h"
#include "icmp.h"
#include "route.h"

enum {
	ANSWER_HOP_LIMIT = 64,
	/* Of what follows the IP header an error quotes so much. */
	QUOTED_LONG = 20,
	QUOTED_SHORT = 8,
};

/* What a sender is told; what is larger is up to which length it may send, and no way takes so little. */
enum answer {
	ANSWER_PORT = 0, /* nobody is at that port */
	ANSWER_NO_ROUTE = 1,
	ANSWER_PROHIBITED = 2,
	ANSWER_HOPS = 3, /* the packet has no hops left */
	ANSWERS = 4,
};

/* Sends a packet whose headers are turned around already back to where it came from. */
static __always_inline int answer_back(struct __sk_buff *skb, struct packet *p)
{
	struct address source = p->tuple.source;
	__u8 macs[12], turned[12];

	/* Not where it came from, when another node has sent it on. */
	if (p->hook == HOOK_OVERLAY_IN || p->dsr) {
		p->tuple.source = p->tuple.destination;
		p->tuple.destination = source;
		p->ttl = ANSWER_HOP_LIMIT;
		return route_away(skb, p);
	}
	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return TC_ACT_SHOT;
	__builtin_memcpy(turned, macs + 6, 6);
	__builtin_memcpy(turned + 6, macs, 6);
	if (bpf_skb_store_bytes(skb, 0, turned, sizeof(turned), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/* Swaps the addresses of the IP header, which changes no checksum. */
static __always_inline bool answer_turn(struct __sk_buff *skb, const struct packet *p)
{
	__be32 turned4[2] = {p->tuple.destination.words[3], p->tuple.source.words[3]};
	struct address turned6[2] = {p->tuple.destination, p->tuple.source};

	if (p->ethertype == ETH_P_IP)
		return !bpf_skb_store_bytes(skb, IPV4_ADDRESSES, turned4, sizeof(turned4), 0);
	return !bpf_skb_store_bytes(skb, IPV6_ADDRESSES, turned6, sizeof(turned6), 0);
}

/* True for an echo request, and for what follows its first fragment. */
static __always_inline bool answer_is_echo(const struct packet *p)
{
	if (!packet_is_icmp(p))
		return false;
	return p->fragment == FRAGMENT_LATER || p->icmp_type == (p->ethertype == ETH_P_IP ? ICMP4_ECHO : ICMP6_ECHO);
}

/* Makes an echo request (RFC 792, RFC 4443 section 4.2) its reply. */
__outlined bool answer_turn_echo(struct __sk_buff *skb, struct packet *p)
{
	__u8 type;

	if (!p)
		return false;
	type = p->ethertype == ETH_P_IP ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
	if (p->fragment != FRAGMENT_LATER) {
		if (bpf_l4_csum_replace(skb, p->transport + ICMP_CHECKSUM, bpf_htons((__u16)(p->icmp_type << 8)),
					bpf_htons((__u16)(type << 8)), 2) ||
		    bpf_skb_store_bytes(skb, p->transport, &type, sizeof(type), 0))
			return false;
	}
	return answer_turn(skb, p);
}

/* Answers an echo request in the service's stead. */
static __always_inline int answer_echo(struct __sk_buff *skb, struct packet *p)
{
	return answer_turn_echo(skb, p) ? answer_back(skb, p) : drop(skb, p, DROP_MALFORMED, 0);
}

static __always_inline bool answer_error4(struct __sk_buff *skb, const struct packet *p, __u32 quoted, __u32 mtu)
{
	struct {
		struct iphdr ip;
		struct icmp_header icmp;
	} header = {
	    .ip = {.version = 4,
		   .ihl = 5,
		   .ttl = ANSWER_HOP_LIMIT,
		   .protocol = IPPROTO_ICMP,
		   .saddr = p->tuple.destination.words[3],
		   .daddr = p->tuple.source.words[3]},
	    .icmp = {.type = ICMP4_UNREACHABLE,
		     .code = mtu ? ICMP4_TOO_BIG : ICMP4_PORT_UNREACHABLE,
		     .rest = bpf_htonl(mtu)},
	};
	__be32 quote[(sizeof(struct iphdr) + QUOTED_LONG) / 4] = {};
	__s64 sum;

	/* Of what is shorter the rest stays zero, and adds nothing to the sum. */
	if (quoted == QUOTED_LONG ? bpf_skb_load_bytes(skb, ETH_HLEN, quote, sizeof(struct iphdr) + QUOTED_LONG)
				  : bpf_skb_load_bytes(skb, ETH_HLEN, quote, sizeof(struct iphdr) + QUOTED_SHORT))
		return false;
	header.ip.tot_len = bpf_htons((__u16)(sizeof(header) + sizeof(struct iphdr) + quoted));
	header.ip.check = checksum_ipv4(&header.ip);
	sum = bpf_csum_diff(0, 0, (__be32 *)&header.icmp, sizeof(header.icmp), 0);
	header.icmp.checksum = checksum_fold((__u32)bpf_csum_diff(0, 0, quote, sizeof(quote), (__u32)sum));
	return !bpf_skb_change_tail(skb, IPV4_PLAIN_END + quoted, 0) &&
	       !bpf_skb_adjust_room(skb, sizeof(header), BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header, sizeof(header), 0);
}

static __always_inline struct icmp_header answer_message6(__u32 what)
{
	struct icmp_header icmp = {.type = ICMP6_UNREACHABLE, .code = ICMP6_PORT_UNREACHABLE};

	if (what == ANSWER_NO_ROUTE)
		icmp.code = ICMP6_NO_ROUTE;
	if (what == ANSWER_PROHIBITED)
		icmp.code = ICMP6_PROHIBITED;
	if (what == ANSWER_HOPS)
		icmp = (struct icmp_header){.type = ICMP6_TIME_EXCEEDED};
	if (what >= ANSWERS)
		icmp = (struct icmp_header){.type = ICMP6_TOO_BIG, .rest = bpf_htonl(what)};
	return icmp;
}

/* Whom an answer is from: that no hops are left a router says, which is the pod's gateway. */
static __always_inline void answer_source6(struct in6_addr *source, const struct packet *p, __u32 what)
{
	if (what == ANSWER_HOPS)
		*source = (struct in6_addr){.s6_addr32 = {bpf_htonl(0xfe800000), 0, 0, bpf_htonl(GATEWAY6_LAST)}};
	else
		__builtin_memcpy(source, &p->tuple.destination, sizeof(*source));
}

static __always_inline bool answer_error6(struct __sk_buff *skb, const struct packet *p, __u32 quoted, __u32 what)
{
	struct {
		struct ipv6hdr ip;
		struct icmp_header icmp;
	} header = {
	    .ip = {.version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = ANSWER_HOP_LIMIT},
	    .icmp = answer_message6(what),
	};
	__be32 quote[(sizeof(struct ipv6hdr) + QUOTED_LONG) / 4] = {};
	__u32 length = sizeof(header.icmp) + sizeof(struct ipv6hdr) + quoted;
	__s64 sum;

	if (quoted == QUOTED_LONG ? bpf_skb_load_bytes(skb, ETH_HLEN, quote, sizeof(struct ipv6hdr) + QUOTED_LONG)
				  : bpf_skb_load_bytes(skb, ETH_HLEN, quote, sizeof(struct ipv6hdr) + QUOTED_SHORT))
		return false;
	header.ip.payload_len = bpf_htons((__u16)length);
	answer_source6(&header.ip.saddr, p, what);
	__builtin_memcpy(&header.ip.daddr, &p->tuple.source, sizeof(header.ip.daddr));
	sum = bpf_csum_diff(0, 0, (__be32 *)&header.icmp, sizeof(header.icmp), checksum_pseudo6(&header.ip, length));
	header.icmp.checksum = checksum_fold((__u32)bpf_csum_diff(0, 0, quote, sizeof(quote), (__u32)sum));
	return !bpf_skb_change_tail(skb, IPV6_PLAIN_END + quoted, 0) &&
	       !bpf_skb_adjust_room(skb, sizeof(header), BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header, sizeof(header), 0);
}

/* Errors are answered with none (RFC 1122 section 3.2.2), nor is what would be answered to more than one. */
static __always_inline bool answer_may(const struct packet *p)
{
	bool echo = packet_is_icmp(p) && icmp_is_echo(p->tuple.protocol, p->icmp_type);

	if (p->fragment == FRAGMENT_LATER || (packet_is_icmp(p) && !echo) || p->tcp_flags & TCP_RST)
		return false;
	return !address_is_group(&p->tuple.source) &&
	       budget_take(BUDGET_ANSWERS, answers_per_second, answers_burst, bpf_ktime_get_ns());
}

/* Of a TCP header what a reset differs by. */
struct tcp_turn {
	__be32 sequence;
	__be32 acknowledged;
	__be16 flags; /* the header's length above them */
};

/* What resets a segment (RFC 9293 section 3.10.7.1); `length` is that of its sequence space. */
static __always_inline struct tcp_turn answer_reset_of(const struct tcp_turn *asked, __u8 flags, __u32 length)
{
	bool acknowledges = flags & TCP_ACK;

	return (struct tcp_turn){
	    .sequence = acknowledges ? asked->acknowledged : 0,
	    .acknowledged = acknowledges ? 0 : bpf_htonl(bpf_ntohl(asked->sequence) + length),
	    .flags = (asked->flags & bpf_htons(0xf000)) | bpf_htons(acknowledges ? TCP_RST : TCP_RST | TCP_ACK),
	};
}

/*
 * Makes a TCP segment its own reset, options and content included: a checksum that a device is to finish stays one,
 * which none that is written anew would.
 */
__outlined bool answer_reset(struct __sk_buff *skb, struct packet *p)
{
	struct tcp_turn asked, reset;
	__be16 ports[2];
	__u32 at;

	if (!p || bpf_skb_load_bytes(skb, p->transport + 4, &asked, 10))
		return false;
	at = p->transport + TCP_CHECKSUM;
	reset = answer_reset_of(&asked, p->tcp_flags, packet_segment_length(p, asked.flags));
	ports[0] = p->tuple.destination_port;
	ports[1] = p->tuple.source_port;
	return !bpf_l4_csum_replace(skb, at, asked.sequence, reset.sequence, 4) &&
	       !bpf_l4_csum_replace(skb, at, asked.acknowledged, reset.acknowledged, 4) &&
	       !bpf_l4_csum_replace(skb, at, asked.flags, reset.flags, 2) &&
	       !bpf_skb_store_bytes(skb, p->transport + 4, &reset, 10, 0) &&
	       !bpf_skb_store_bytes(skb, p->transport, ports, sizeof(ports), 0) && answer_turn(skb, p);
}

/*
 * Makes a packet the message to its sender that nobody is at that port (RFC 792, RFC 4443 section 3.1), or when an MTU
 * is given, that it is too long for its way (RFC 1191 section 4, RFC 4443 section 3.2); in IPv6 `what` may be any enum
 * answer.
 */
__outlined bool answer_error(struct __sk_buff *skb, struct packet *p, __u32 what)
{
	bool is4;
	__u32 quoted;

	if (!p)
		return false;
	is4 = p->ethertype == ETH_P_IP;
	/* With the fragment header, where there is one, so much that the ports are quoted too. */
	quoted = p->tuple.protocol == IPPROTO_TCP || p->transport != packet_plain_end(p) ? QUOTED_LONG : QUOTED_SHORT;
	return is4 ? answer_error4(skb, p, quoted, what) : answer_error6(skb, p, quoted, what);
}

/* Tells the sender of a packet what enum answer says, or up to which length it may send. */
static __always_inline bool answer_tell(struct __sk_buff *skb, struct packet *p, __u32 what)
{
	return answer_may(p) && answer_error(skb, p, what);
}

/*
 * Tells the sender of a packet that nobody is at that port. A connect gives up at a reset; port unreachable it hears of
 * with its second try only. False when the sender is to hear nothing.
 */
static __always_inline bool answer_refuse(struct __sk_buff *skb, struct packet *p)
{
	if (p->transport != packet_plain_end(p) || !answer_may(p))
		return false;
	/* What is cut into segments yet would come back as long. */
	return p->tuple.protocol == IPPROTO_TCP && !skb->gso_size ? answer_reset(skb, p) : answer_error(skb, p, 0);
}

/* Whether the packet is of a connection with a pod of this node that has gone, and whose address nobody has yet. */
static __always_inline bool answer_is_late(const struct packet *p)
{
	return p->tuple.protocol == IPPROTO_TCP && bpf_map_lookup_elem(&departed, &p->tuple.destination);
}

/*
 * Drops what is for a pod that has gone, and resets its connection: no stack is left to do so, and an ICMP error ends
 * none (RFC 1122 section 4.2.3.9).
 */
static __always_inline int answer_late(struct __sk_buff *skb, struct packet *p)
{
	drop(skb, p, DROP_NO_ENDPOINT, 0);
	return answer_refuse(skb, p) ? answer_back(skb, p) : TC_ACT_SHOT;
}

/* What the sender of a packet is told that NAT64 refuses; ANSWERS when nothing. */
static __always_inline __u32 answer_nat64(enum drop_reason reason)
{
	const struct scratch *own = scratch();

	switch (reason) {
	case DROP_NO_ROUTE:
		return ANSWER_NO_ROUTE;
	case DROP_NAT64_INSIDE:
		return ANSWER_PROHIBITED;
	case DROP_HOPS:
		return ANSWER_HOPS;
	case DROP_TOO_BIG:
		return own ? own->mtu : ANSWERS;
	default:
		return ANSWERS;
	}
}

/*
 * Drops a packet of a service, or one that conntrack or NAT64 refuses; where that is because nobody serves, or its way
 * ends here, the sender is told.
 */
static __always_inline int answer_drop(struct __sk_buff *skb, struct packet *p, enum drop_reason reason)
{
	__u32 what = masquerade_flags & MASQUERADE_NAT64 ? answer_nat64(reason) : ANSWERS;

	drop(skb, p, reason, 0);
	if (what != ANSWERS)
		return answer_tell(skb, p, what) ? answer_back(skb, p) : TC_ACT_SHOT;
	if (reason != DROP_NO_BACKEND || p->silent || !answer_refuse(skb, p))
		return TC_ACT_SHOT;
	return answer_back(skb, p);
}
