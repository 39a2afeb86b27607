/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The short way through this node: packets of a translated flow in its steady state that leave by the device they came
 * in by. Only frames as nearly all are: no VLAN, IP options, extension headers or fragments; TCP and UDP. Nothing is
 * changed before it is certain that the packet leaves; whatever else there is, the programs behind see as it came.
 */
#pragma once
#include "checksum.h"
#include "ct.h"
#include "nat.h"
#include "route.h"
#include "steady.h"
#include "wrap.h"

/* A frame that is plain, with its headers where they always are. */
struct xdp_frame {
	struct ethhdr *eth;
	void *ip;
	void *transport;
};

static __always_inline void *xdp_data(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *xdp_data_end(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline bool xdp_parse4(struct iphdr *ip, const void *end, struct packet *p)
{
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl != sizeof(*ip) / 4 || ip->ttl <= 1 ||
	    ip->frag_off & bpf_htons(0x3fff))
		return false;
	p->tuple.source = address_from4(ip->saddr);
	p->tuple.destination = address_from4(ip->daddr);
	p->tuple.protocol = ip->protocol;
	p->end = IPV4_START + bpf_ntohs(ip->tot_len);
	return true;
}

static __always_inline bool xdp_parse6(struct ipv6hdr *ip, const void *end, struct packet *p)
{
	if ((void *)(ip + 1) > end || ip->version != 6 || ip->hop_limit <= 1)
		return false;
	__builtin_memcpy(&p->tuple.source, &ip->saddr, sizeof(p->tuple.source));
	__builtin_memcpy(&p->tuple.destination, &ip->daddr, sizeof(p->tuple.destination));
	p->tuple.protocol = ip->nexthdr;
	p->end = IPV6_PLAIN_END + bpf_ntohs(ip->payload_len);
	return !address_is4(&p->tuple.source) && !address_is4(&p->tuple.destination);
}

/* Reads ports and flags. A datagram with less behind its header than TCP's has more is not worth a check of its own. */
static __always_inline bool xdp_parse_transport(const __u8 *header, const void *end, struct packet *p)
{
	if ((void *)(header + TCP_HEADER) > end)
		return false;
	if (p->tuple.protocol == IPPROTO_TCP)
		p->tcp_flags = header[13];
	else if (p->tuple.protocol != IPPROTO_UDP)
		return false;
	parse_ports(p, header);
	return true;
}

/* Reads a frame. False when it is not plain. */
static __always_inline bool xdp_parse(struct xdp_md *ctx, struct packet *p, struct xdp_frame *frame)
{
	void *data = xdp_data(ctx), *end = xdp_data_end(ctx);

	frame->eth = data;
	frame->ip = data + ETH_HLEN;
	if (frame->ip > end)
		return false;
	p->ethertype = bpf_ntohs(frame->eth->h_proto);
	if (p->ethertype == ETH_P_IP) {
		frame->transport = data + IPV4_PLAIN_END;
		if (!xdp_parse4(frame->ip, end, p))
			return false;
	} else if (p->ethertype == ETH_P_IPV6) {
		frame->transport = data + IPV6_PLAIN_END;
		if (!xdp_parse6(frame->ip, end, p))
			return false;
	} else {
		return false;
	}
	return data + p->end <= end && xdp_parse_transport(frame->transport, end, p);
}

/*
 * How long an answer of the kernel's routes holds: a look-up takes as long as everything else here. What changes about
 * routes and neighbours is followed so much later.
 */
#define XDP_HOP_NS (SECOND / 20)

static __always_inline struct hop *xdp_hop_place(const struct tuple *t)
{
	__u32 sum = t->source.words[3] ^ t->destination.words[3] ^ t->destination.words[2];
	__u32 place = (sum * 0x9e3779b1) >> 16 & (HOPS - 1);

	return bpf_map_lookup_elem(&hops, &place);
}

/* Whether another network interface has the source. */
static __always_inline bool xdp_leaves_elsewhere(const struct xdp_md *ctx, const struct packet *p)
{
	const struct nic_way *way = nic_of(&p->tuple.source);

	return way && way->ifindex != ctx->ingress_ifindex;
}

/* Asks the kernel. False unless the packet leaves by the device it came in by. */
static __always_inline bool xdp_hop_ask(struct xdp_md *ctx, const struct packet *p, struct hop *hop, __u64 now)
{
	struct bpf_fib_lookup fib = {};

	if (nic_flags && xdp_leaves_elsewhere(ctx, p))
		return false;
	route_fib_ask(&fib, ctx->ingress_ifindex, p->end - ETH_HLEN, p);
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS ||
	    fib.ifindex != ctx->ingress_ifindex)
		return false;
	hop->source = p->tuple.source;
	hop->destination = p->tuple.destination;
	hop->until = now + XDP_HOP_NS;
	hop->ifindex = ctx->ingress_ifindex;
	__builtin_memcpy(hop->macs, fib.dmac, ETH_ALEN);
	__builtin_memcpy(hop->macs + ETH_ALEN, fib.smac, ETH_ALEN);
	hop->mtu = fib.mtu_result;
	return true;
}

/*
 * The next hop of what the packet goes on as, `growth` bytes longer. Null unless that is out by the device it came in
 * by, and the frame was for this node.
 */
static __always_inline const struct hop *xdp_route(struct xdp_md *ctx, const struct packet *p,
						   const struct xdp_frame *frame, __u32 growth)
{
	struct hop *hop = xdp_hop_place(&p->tuple);
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!hop)
		return 0;
	if ((hop->until <= now || hop->ifindex != ctx->ingress_ifindex ||
	     !address_equal(&hop->destination, &p->tuple.destination) ||
	     !address_equal(&hop->source, &p->tuple.source)) &&
	    !xdp_hop_ask(ctx, p, hop, now))
		return 0;
	if (p->end - ETH_HLEN + growth > hop->mtu ||
	    __builtin_memcmp(hop->macs + ETH_ALEN, frame->eth->h_dest, ETH_ALEN))
		return 0;
	return hop;
}

static __always_inline __u32 xdp_ports(const struct tuple *t)
{
	return (__u32)t->destination_port << 16 | t->source_port;
}

/* What a checksum gains when one address and the other become two others (RFC 1624). */
static __always_inline __u64 xdp_addresses_change(const struct tuple *from, const struct tuple *to, bool is4)
{
	__u64 sum = 0;

	for (__u32 i = is4 ? 3 : 0; i < 4; i++) {
		sum = checksum_change(sum, from->source.words[i], to->source.words[i]);
		sum = checksum_change(sum, from->destination.words[i], to->destination.words[i]);
	}
	return sum;
}

static __always_inline void xdp_rewrite4(struct iphdr *ip, const struct tuple *to, __u64 change)
{
	/* One hop less is 0x0100 less in the word of it and the protocol. */
	ip->check = checksum_apply(ip->check, checksum_change(change, bpf_htons(0x0100), 0));
	ip->ttl--;
	ip->saddr = to->source.words[3];
	ip->daddr = to->destination.words[3];
}

static __always_inline void xdp_rewrite6(struct ipv6hdr *ip, const struct tuple *to)
{
	ip->hop_limit--;
	__builtin_memcpy(&ip->saddr, &to->source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &to->destination, sizeof(ip->daddr));
}

static __always_inline void xdp_rewrite_transport(__u8 *header, const struct tuple *to, __u64 change)
{
	__be16 *ports = (__be16 *)header;
	__u16 *tcp = (__u16 *)(header + TCP_CHECKSUM), *udp = (__u16 *)(header + UDP_CHECKSUM);

	ports[0] = to->source_port;
	ports[1] = to->destination_port;
	if (to->protocol == IPPROTO_TCP) {
		*tcp = checksum_apply(*tcp, change);
	} else if (*udp) { /* 0 is none */
		*udp = checksum_apply(*udp, change);
		if (!*udp)
			*udp = 0xffff;
	}
}

/* Makes the frame what it goes on as, one hop further. */
static __always_inline void xdp_rewrite(const struct xdp_frame *frame, const struct packet *p, const struct tuple *from,
					const __u8 *macs)
{
	bool is4 = p->ethertype == ETH_P_IP;
	__u64 change = xdp_addresses_change(from, &p->tuple, is4);

	__builtin_memcpy(frame->eth, macs, 2 * ETH_ALEN);
	if (is4)
		xdp_rewrite4(frame->ip, &p->tuple, change);
	else
		xdp_rewrite6(frame->ip, &p->tuple);
	change = checksum_change(change, xdp_ports(from), xdp_ports(&p->tuple));
	xdp_rewrite_transport(frame->transport, &p->tuple, change);
}

/* Takes a hop from what goes on within another packet. */
static __always_inline void xdp_hop4(struct iphdr *ip)
{
	ip->check = checksum_apply(ip->check, checksum_change(0, bpf_htons(0x0100), 0));
	ip->ttl--;
}

/* Puts the packet into one of p->tuple, with its frame in front. XDP_PASS when the driver has left no room for that. */
static __always_inline int xdp_wrap(struct xdp_md *ctx, const struct packet *p, const __u8 *macs)
{
	bool is4 = p->ethertype == ETH_P_IP;
	__u32 length = p->end - ETH_HLEN, header = is4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	struct ethhdr *eth;
	void *data;

	if (bpf_xdp_adjust_head(ctx, -(int)wrap_size(p)))
		return XDP_PASS;
	data = xdp_data(ctx);
	eth = data;
	if (data + ETH_HLEN + GENEVE_HEADER + 2 * header > xdp_data_end(ctx))
		return XDP_ABORTED;
	__builtin_memcpy(eth, macs, 2 * ETH_ALEN);
	eth->h_proto = bpf_htons(p->ethertype);
	data += ETH_HLEN;
	if (is4)
		wrap_ipv4(data, p, length);
	else
		wrap_ipv6(data, p, length);
	data += header;
	if (dsr_dispatch == DSR_GENEVE) {
		wrap_geneve(data, p, length);
		data += GENEVE_HEADER;
	}
	if (is4)
		xdp_hop4(data);
	else
		((struct ipv6hdr *)data)->hop_limit--;
	count_forwarded(p, p->end);
	return XDP_TX;
}

/* Bytes that a flow's packets grow by. */
static __always_inline __u32 xdp_growth(const struct packet *p, __u32 flags)
{
	return (flags & (NAT_DSR | NAT_REPLY)) == NAT_DSR && wrap_is_on() ? wrap_size(p) : 0;
}

/* Whether a packet may go the way that is remembered of its flow. */
static __always_inline bool xdp_holds(const struct xdp_md *ctx, const struct packet *p, const struct xdp_frame *frame,
				      const struct steady *s)
{
	if (s->ifindex != ctx->ingress_ifindex || __builtin_memcmp(s->macs + ETH_ALEN, frame->eth->h_dest, ETH_ALEN) ||
	    p->end - ETH_HLEN + xdp_growth(p, s->flags) > s->mtu)
		return false;
	if (p->tuple.protocol == IPPROTO_TCP)
		return (p->tcp_flags & TCP_STATE_FLAGS) == TCP_ACK;
	return !s->backend || bpf_map_lookup_elem(&backends, &s->backend);
}

/* Where a flow's packets go on to, for a moment. */
static __always_inline void xdp_remember(struct steady *s, const struct hop *hop, __u64 now)
{
	s->until = now + STEADY_NS;
	s->ifindex = hop->ifindex;
	__builtin_memcpy(s->macs, hop->macs, sizeof(s->macs));
	s->mtu = hop->mtu;
}

/*
 * Asks again about a flow whose time is over: conntrack, which is told what was counted, and the routes. As long as it
 * is a steady one its translation is what it was: whatever else its packets bring about comes by here and makes it
 * forgotten.
 */
static __always_inline bool xdp_renew(struct xdp_md *ctx, struct packet *p, const struct xdp_frame *frame,
				      struct steady *s, __u64 now)
{
	struct tuple came = p->tuple;
	const struct hop *hop;

	if (!s->until || now - s->until > STEADY_IDLE_NS || !steady_tell(s))
		return false;
	p->tuple = steady_next(s);
	hop = xdp_route(ctx, p, frame, xdp_growth(p, s->flags));
	p->tuple = came;
	if (!hop)
		return false;
	xdp_remember(s, hop, now);
	return true;
}

/*
 * Asks the maps and the kernel's routes about a packet, counts it, and remembers what they say. False when it is of no
 * steady flow, or does not turn around here.
 */
static __always_inline bool xdp_find(struct xdp_md *ctx, struct packet *p, const struct xdp_frame *frame,
				     struct steady *s, __u64 now)
{
	__u32 family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6, growth;
	const struct nat_value *known = nat_find(&p->tuple);
	const struct address *node;
	struct tuple came = p->tuple, to;
	const struct hop *hop;
	bool counted;

	if (!known || known->flags & NAT_OTHER_FAMILY || (came.protocol != IPPROTO_TCP && !nat_backend_is_there(known)))
		return false;
	if (nic_flags && known->ifindex && known->ifindex != ctx->ingress_ifindex)
		return false;
	growth = xdp_growth(p, known->flags);
	/* By option, every datagram is given one. */
	if (nat_is_dsr(known) && !growth && came.protocol != IPPROTO_TCP)
		return false;
	p->tuple = to = nat_tuple(known, came.protocol);
	if (growth) {
		node = bpf_map_lookup_elem(&node_addresses, &family);
		if (!node)
			return false;
		p->tuple.source = *node;
	}
	hop = xdp_route(ctx, p, frame, growth);
	if (!hop)
		return false;
	s->source = p->tuple.source;
	/* Conntrack knows replies as they came, the others as they go on. */
	p->tuple = known->flags & NAT_REPLY ? came : to;
	counted = ct_continue(p, p->end, CT_TRANSLATED);
	p->tuple = came;
	if (!counted)
		return false;
	s->came = nat_key_of(&came);
	s->destination = to.destination;
	s->source_port = to.source_port;
	s->destination_port = to.destination_port;
	s->flags = (__u16)known->flags;
	s->backend = known->backend;
	xdp_remember(s, hop, now);
	return true;
}

/* Sends a packet on as is remembered. */
static __always_inline int xdp_go(struct xdp_md *ctx, struct packet *p, const struct xdp_frame *frame,
				  const struct steady *s)
{
	struct tuple came = p->tuple;

	p->tuple = steady_next(s);
	if (xdp_growth(p, s->flags))
		return xdp_wrap(ctx, p, s->macs);
	xdp_rewrite(frame, p, &came, s->macs);
	count_forwarded(p, p->end);
	return XDP_TX;
}
