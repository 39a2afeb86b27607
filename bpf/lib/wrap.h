/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a packet is wrapped in on its way to a pod of another node that answers the client itself: a packet from this
 * node to the pod, by IPIP (RFC 2003, RFC 2473) or Geneve (RFC 8926).
 */
#pragma once
#include "checksum.h"
#include "config.h"
#include "parse.h"

enum {
	WRAP_HOPS = 64,
	GENEVE_HEADER = 16, /* of UDP and Geneve (RFC 8926 section 3.4), which has no options */
};

struct geneve {
	__be16 source_port;
	__be16 destination_port;
	__be16 length;
	__u16 checksum; /* none: the packet within has its own (RFC 6936) */
	__u8 version_length;
	__u8 flags;
	__be16 protocol;
	__be32 vni;
};

/* Whether packets of the flows that it concerns are. */
static __always_inline bool wrap_is_on(void)
{
	return dsr_dispatch == DSR_IPIP || dsr_dispatch == DSR_GENEVE;
}

/* Whether this packet is going to be. */
static __always_inline bool wrap_awaits(const struct packet *p)
{
	return wrap_is_on() && p->dsr == PACKET_DSR_SENT;
}

/* Bytes that a packet grows by. */
static __always_inline __u32 wrap_size(const struct packet *p)
{
	__u32 ip = p->ethertype == ETH_P_IP ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	return dsr_dispatch == DSR_GENEVE ? ip + GENEVE_HEADER : ip;
}

/* The header around an IPv4 packet of so many bytes; p->tuple says from where to where. */
static __always_inline void wrap_ipv4(struct iphdr *ip, const struct packet *p, __u32 length)
{
	*ip = (struct iphdr){
	    .version = 4,
	    .ihl = 5,
	    .tot_len = bpf_htons((__u16)(length + wrap_size(p))),
	    .frag_off = bpf_htons(0x4000),
	    .ttl = WRAP_HOPS,
	    .protocol = dsr_dispatch == DSR_GENEVE ? IPPROTO_UDP : IPPROTO_IPIP,
	    .saddr = p->tuple.source.words[3],
	    .daddr = p->tuple.destination.words[3],
	};
	ip->check = checksum_ipv4(ip);
}

static __always_inline void wrap_ipv6(struct ipv6hdr *ip, const struct packet *p, __u32 length)
{
	*ip = (struct ipv6hdr){
	    .version = 6,
	    .nexthdr = dsr_dispatch == DSR_GENEVE ? IPPROTO_UDP : IPPROTO_IPV6,
	    .payload_len = bpf_htons((__u16)(length + wrap_size(p) - sizeof(*ip))),
	    .hop_limit = WRAP_HOPS,
	};
	__builtin_memcpy(&ip->saddr, &p->tuple.source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->tuple.destination, sizeof(ip->daddr));
}

/* A port by which networks tell flows apart, from the range that RFC 8926 section 3.3 names. */
static __always_inline __be16 wrap_source_port(const struct tuple *t)
{
	__u32 ports = (__u32)t->source_port << 16 | t->destination_port;

	return bpf_htons((__u16)(49152 + (ports * 0x9e3779b1 >> 18)));
}

/* What follows that header by Geneve. */
static __always_inline void wrap_geneve(struct geneve *geneve, const struct packet *p, __u32 length)
{
	*geneve = (struct geneve){
	    .source_port = wrap_source_port(&p->tuple),
	    .destination_port = bpf_htons(dsr_port),
	    .length = bpf_htons((__u16)(length + sizeof(*geneve))),
	    .protocol = bpf_htons(p->ethertype),
	    .vni = bpf_htonl(overlay_vni << 8),
	};
}
