/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The packet cursor: reads a frame once, from Ethernet to the ports, and is the only place that touches packet memory.
 * Headers that nearly every packet has are read in place; options, extension headers and whatever ICMP errors quote are
 * copied by bpf_skb_load_bytes, which checks bounds itself and reads fragments of the buffer too.
 */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "address.h"
#include "compiler.h"
#include "extension.h"

/* An offset known to be small; the verifier adds to packet pointers only what it knows to be bounded. */
#define OFFSET_MASK 0x3ff

enum {
	IPV4_START = ETH_HLEN,
	IPV4_PLAIN_END = ETH_HLEN + 20,
	IPV6_PLAIN_END = ETH_HLEN + 40,
	TCP_HEADER = 20,
	/* The hop-by-hop header of a jumbogram (RFC 2675 section 2). */
	JUMBO_HEADER = 8,
};

enum tcp_flags {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_ACK = 16,
};

/* What another node has to do with a packet for a service whose backends answer clients themselves. */
enum packet_dsr {
	PACKET_DSR_NONE = 0,
	PACKET_DSR_SENT = 1,    /* it goes to a pod of another node, which answers the client */
	PACKET_DSR_ARRIVED = 2, /* another node has chosen scratch.direct for it, and sends all of its flow like this */
	PACKET_DSR_FIRST = 3,   /* the same, but what follows comes translated */
};

struct packet {
	struct tuple tuple;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 jumbo;      /* bytes in front of the transport header that end with segmentation */
	__u16 ethertype; /* host order */
	__u16 transport; /* offset of the transport header */
	__u32 end;       /* offset of the first byte behind the IP packet */
	__u8 hook;       /* enum hook */
	__u8 ttl;
	__u8 fragment; /* enum fragment_kind */
	__u8 icmp_error;
	__be32 fragment_id;
	__u32 ct_flags;  /* enum ct_flags of the packet's flow; 0 when it has none */
	__u8 scope;      /* enum service_scope of the sender */
	__u8 translated; /* 1: the packet is no longer as it came */
	__u8 silent;     /* 1: who sent it is not told that nobody serves */
	__u8 dsr;        /* enum packet_dsr */
	__u32 device;    /* network interface that the flow it answers came in by; 0 where it does not matter */
};

/*
 * Both are 32 bits wide in the context and pointers to the verifier. Loaded by hand, for the compiler would now and
 * then copy one of them as the number it seems to be, and a pointer's lower half is none.
 */
static __always_inline void *packet_data(const struct __sk_buff *skb)
{
	void *data;

	asm volatile("%[data] = *(u32 *)(%[skb] + %[at])"
		     : [data] "=r"(data)
		     : [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, data)));
	return data;
}

static __always_inline void *packet_data_end(const struct __sk_buff *skb)
{
	void *end;

	asm volatile("%[end] = *(u32 *)(%[skb] + %[at])"
		     : [end] "=r"(end)
		     : [skb] "r"(skb), [at] "i"(__builtin_offsetof(struct __sk_buff, data_end)));
	return end;
}

/*
 * So many bytes of the packet from an offset on, in place; null when it is shorter. What lies in page fragments is made
 * linear first, and not a byte more: behind the headers of what TCP sends there are only fragments, and pulling one of
 * their bytes costs a new buffer. Whatever pointed into the packet before is void.
 */
static __always_inline const void *parse_at(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	const void *at = packet_data(skb) + offset;

	if (likely(at + length <= packet_data_end(skb)))
		return at;
	if (bpf_skb_pull_data(skb, offset + length))
		return 0;
	at = packet_data(skb) + offset;
	return at + length <= packet_data_end(skb) ? at : 0;
}

/* Reads the Ethernet header. No frame shorter than Ethernet and IPv4 carries anything of use. */
static __always_inline enum drop_reason parse_frame(struct __sk_buff *skb, struct packet *p)
{
	const struct ethhdr *eth = parse_at(skb, 0, IPV4_PLAIN_END);

	if (unlikely(!eth))
		return DROP_MALFORMED;
	p->ethertype = bpf_ntohs(eth->h_proto);
	if (unlikely(skb->vlan_present || p->ethertype == ETH_P_8021Q || p->ethertype == ETH_P_8021AD))
		return DROP_VLAN;
	return DROP_NONE;
}

static __always_inline enum drop_reason parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	const struct iphdr *ip = parse_at(skb, IPV4_START, sizeof(*ip));
	__u32 total, header;

	if (unlikely(!ip))
		return DROP_MALFORMED;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	/* BIG TCP leaves the length at 0 where 16 bits do not hold it. */
	p->end = unlikely(total == 0 && skb->gso_size) ? skb->len : IPV4_START + total;
	p->transport = IPV4_START + header;
	if (unlikely(ip->version != 4 || header < sizeof(*ip) || p->end > skb->len || p->transport > p->end))
		return DROP_MALFORMED;
	p->tuple.source = address_from4(ip->saddr);
	p->tuple.destination = address_from4(ip->daddr);
	p->tuple.protocol = ip->protocol;
	p->ttl = ip->ttl;
	if (unlikely(ip->frag_off & bpf_htons(0x3fff))) {
		p->fragment = ip->frag_off & bpf_htons(0x1fff) ? FRAGMENT_LATER : FRAGMENT_FIRST;
		p->fragment_id = ip->id;
	}
	return DROP_NONE;
}

__outlined enum drop_reason parse_extensions(struct __sk_buff *skb, struct packet *p)
{
	struct extension_walk walk = {};

	if (!p)
		return DROP_MALFORMED;
	walk.offset = p->transport;
	walk.next = p->tuple.protocol;
	if (!extension_walk_on(skb, &walk) || walk.offset > p->end || walk.offset > OFFSET_MASK - TCP_HEADER)
		return DROP_MALFORMED;
	p->transport = (__u16)walk.offset;
	p->tuple.protocol = walk.next;
	p->fragment = walk.fragment;
	p->fragment_id = walk.fragment_id;
	return DROP_NONE;
}

static __always_inline enum drop_reason parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	const struct ipv6hdr *ip = parse_at(skb, ETH_HLEN, sizeof(*ip));
	__u32 payload;

	if (unlikely(!ip))
		return DROP_MALFORMED;
	payload = bpf_ntohs(ip->payload_len);
	p->end = IPV6_PLAIN_END + payload;
	/* BIG TCP: a length that 16 bits do not hold lies in a header in front of TCP's, on some kernels nowhere. */
	if (unlikely(payload == 0 && skb->gso_size)) {
		p->end = skb->len;
		p->jumbo = ip->nexthdr == NEXT_HOP_BY_HOP ? JUMBO_HEADER : 0;
	}
	if (unlikely(ip->version != 6 || p->end > skb->len))
		return DROP_MALFORMED;
	__builtin_memcpy(&p->tuple.source, &ip->saddr, sizeof(p->tuple.source));
	__builtin_memcpy(&p->tuple.destination, &ip->daddr, sizeof(p->tuple.destination));
	/* Mapped addresses stand for IPv4 in all maps; on the wire they only serve to deceive, and Linux drops them
	 * too. */
	if (unlikely(address_is4(&p->tuple.source) || address_is4(&p->tuple.destination)))
		return DROP_MALFORMED;
	p->tuple.protocol = ip->nexthdr;
	p->ttl = ip->hop_limit;
	p->transport = IPV6_PLAIN_END;
	return unlikely(is_extension(p->tuple.protocol)) ? parse_extensions(skb, p) : DROP_NONE;
}

/* Reads the IP header up to where the transport header starts. */
static __always_inline enum drop_reason parse_ip(struct __sk_buff *skb, struct packet *p)
{
	if (p->ethertype == ETH_P_IP)
		return parse_ipv4(skb, p);
	if (p->ethertype == ETH_P_IPV6)
		return parse_ipv6(skb, p);
	return DROP_UNSUPPORTED_L3;
}

/* The transport header, when `length` bytes of it are there; else null. */
static __always_inline const __u8 *parse_header(struct __sk_buff *skb, const struct packet *p, __u32 length)
{
	return likely(p->transport + length <= p->end) ? parse_at(skb, p->transport & OFFSET_MASK, length) : 0;
}

/* ICMP belongs to its family: in the other one it is a protocol like any that nobody knows. */
static __always_inline bool packet_is_icmp(const struct packet *p)
{
	return p->tuple.protocol == (p->ethertype == ETH_P_IP ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Where the transport header of a packet without options or extension headers lies. */
static __always_inline __u32 packet_plain_end(const struct packet *p)
{
	return p->ethertype == ETH_P_IP ? IPV4_PLAIN_END : IPV6_PLAIN_END;
}

/*
 * How many sequence numbers a TCP segment takes (RFC 9293 section 3.4): its content, SYN and FIN. `offset_flags` is the
 * word with the header's length.
 */
static __always_inline __u32 packet_segment_length(const struct packet *p, __be16 offset_flags)
{
	__u32 content = p->end - p->transport - (bpf_ntohs(offset_flags) >> 12) * 4;

	return content + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);
}

/* True for the first packet of a TCP connection. */
static __always_inline bool packet_opens(const struct packet *p)
{
	return p->tuple.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline void parse_ports(struct packet *p, const __u8 *header)
{
	p->tuple.source_port = *(const __be16 *)header;
	p->tuple.destination_port = *(const __be16 *)(header + 2);
}

/* Reads ports, flags or ICMP type. Not for later fragments, which have no transport header. */
static __always_inline enum drop_reason parse_transport(struct __sk_buff *skb, struct packet *p)
{
	const __u8 *header;

	switch (p->tuple.protocol) {
	case IPPROTO_TCP:
		header = parse_header(skb, p, TCP_HEADER);
		if (unlikely(!header || header[12] >> 4 < TCP_HEADER / 4))
			return DROP_MALFORMED;
		parse_ports(p, header);
		p->tcp_flags = header[13];
		return DROP_NONE;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		header = parse_header(skb, p, 8);
		if (unlikely(!header))
			return DROP_MALFORMED;
		parse_ports(p, header);
		return DROP_NONE;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (unlikely(!packet_is_icmp(p)))
			return DROP_NONE;
		header = parse_header(skb, p, 8);
		if (unlikely(!header))
			return DROP_MALFORMED;
		p->icmp_type = header[0];
		p->icmp_code = header[1];
		p->tuple.source_port = p->tuple.destination_port = *(const __be16 *)(header + 4);
		return DROP_NONE;
	default:
		return DROP_NONE;
	}
}

/* True when the frame's destination is a group address: broadcast or multicast. */
static __always_inline bool frame_is_group(struct __sk_buff *skb)
{
	const __u8 *data = packet_data(skb);

	return (void *)data + ETH_HLEN <= packet_data_end(skb) && (data[0] & 1);
}

/* True when the frame's source is this MAC. */
static __always_inline bool frame_source_is(struct __sk_buff *skb, const __u8 *mac)
{
	const void *data = packet_data(skb);

	if (unlikely(data + ETH_HLEN > packet_data_end(skb)))
		return false;
	return ((*(const __u32 *)(data + 6) ^ *(const __u32 *)mac) |
		(*(const __u16 *)(data + 10) ^ *(const __u16 *)(mac + 4))) == 0;
}

/* Writes both MACs of the frame, destination first; `macs` is 12 bytes, 4-byte aligned. */
static __always_inline bool frame_set_macs(struct __sk_buff *skb, const __u32 *macs)
{
	__u32 *data = packet_data(skb);

	if (unlikely((void *)data + ETH_HLEN > packet_data_end(skb)))
		return false;
	data[0] = macs[0];
	data[1] = macs[1];
	data[2] = macs[2];
	return true;
}

/* Makes the frame's source MAC another one, whatever it is. */
static __always_inline bool frame_alter_source(struct __sk_buff *skb)
{
	__u8 *data = packet_data(skb);

	if (unlikely((void *)data + ETH_HLEN > packet_data_end(skb)))
		return false;
	data[11] ^= 0xff;
	return true;
}

/* One hop less (RFC 1812 section 5.3.1); the IPv4 checksum follows by RFC 1141. Only when ttl > 1. */
static __always_inline bool packet_decrement_ttl(struct __sk_buff *skb, const struct packet *p)
{
	void *data = packet_data(skb);
	struct iphdr *ip = data + IPV4_START;
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	__u32 check;

	if (p->ethertype == ETH_P_IP) {
		if (unlikely((void *)(ip + 1) > packet_data_end(skb)))
			return false;
		check = ip->check + bpf_htons(0x0100);
		ip->check = (__u16)(check + (check >> 16));
		ip->ttl--;
		return true;
	}
	if (unlikely((void *)(ip6 + 1) > packet_data_end(skb)))
		return false;
	ip6->hop_limit--;
	/*
	 * No header checksum balances this, so a sum the device made over the packet (CHECKSUM_COMPLETE) must follow.
	 */
	bpf_csum_update(skb, ~(__u32)bpf_htons(1));
	return true;
}

/* Whether routers may cut the packet: IPv4 that does not forbid it. */
static __always_inline bool packet_may_fragment(struct __sk_buff *skb, const struct packet *p)
{
	const struct iphdr *ip;

	if (p->ethertype != ETH_P_IP)
		return false;
	ip = parse_at(skb, IPV4_START, sizeof(*ip));
	return ip && !(ip->frag_off & bpf_htons(0x4000));
}

/* Bytes of the largest IP packet this becomes on the wire: a GSO packet is cut into segments. */
static __always_inline __u32 packet_wire_length(struct __sk_buff *skb, const struct packet *p)
{
	__u32 segment = skb->gso_size, header = 8;
	const __u8 *tcp;

	if (likely(!segment))
		return p->end - ETH_HLEN;
	if (p->tuple.protocol == IPPROTO_TCP) {
		tcp = parse_header(skb, p, TCP_HEADER);
		header = tcp ? (tcp[12] >> 4) * 4 : TCP_HEADER;
	}
	return p->transport - p->jumbo - ETH_HLEN + header + segment;
}
