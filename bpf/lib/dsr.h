/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Direct server return: a node that gives a flow to a pod of another node sends its packets there with what the client
 * speaks to, and that node gives the pod's answers the service's address, straight to the client. Between the two nodes
 * packets bear the pod's address, so whatever leads to pods carries them: routes, the overlay, a cloud's own network.
 */
#pragma once
#include "balance.h"
#include "checksum.h"
#include "wrap.h"

enum {
	/* For experiments, both of a kind that routers leave alone (RFC 4727 sections 3.2 and 3.4). */
	DSR_OPTION4 = 158,
	DSR_OPTION6 = 0x1e,
	DSR_OPTION4_SIZE = 8,
	DSR_OPTION6_SIZE = 24,
};

/* A plain header with the option behind it. */
struct dsr_option4 {
	struct iphdr ip;
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
};

struct dsr_option6 {
	struct ipv6hdr ip;
	__u8 next;
	__u8 words; /* of 8 bytes, less one */
	__u8 type;
	__u8 length;
	__be16 port;
	__u8 address[16];
	__u8 pad[2]; /* PadN (RFC 8200 section 4.2) */
};

/*
 * Puts a packet whose way is found into one from this node to the pod; segments of a larger one shrink by what that
 * takes. In it the packet has one hop less (RFC 2003 section 3.1).
 */
__outlined bool dsr_wrap(struct __sk_buff *skb, struct packet *p)
{
	struct {
		struct iphdr ip;
		struct geneve geneve;
	} header4;
	struct {
		struct ipv6hdr ip;
		struct geneve geneve;
	} header6;
	__u64 flags = dsr_dispatch == DSR_GENEVE ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0;
	__u32 size, length;

	if (!p)
		return false;
	size = wrap_size(p);
	length = p->end - ETH_HLEN;
	if (p->ethertype == ETH_P_IP) {
		wrap_ipv4(&header4.ip, p, length);
		wrap_geneve(&header4.geneve, p, length);
		flags |= BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
		return !bpf_skb_adjust_room(skb, (__s32)size, BPF_ADJ_ROOM_MAC, flags) &&
		       !bpf_skb_store_bytes(skb, ETH_HLEN, &header4, size, BPF_F_RECOMPUTE_CSUM);
	}
	wrap_ipv6(&header6.ip, p, length);
	wrap_geneve(&header6.geneve, p, length);
	flags |= BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	return !bpf_skb_adjust_room(skb, (__s32)size, BPF_ADJ_ROOM_MAC, flags) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header6, size, BPF_F_RECOMPUTE_CSUM);
}

/* What the client speaks to, from the entry that leads back; null where there is none. */
static __always_inline const struct nat_value *dsr_asked(const struct packet *p)
{
	struct nat_key against;

	nat_key_set_against(&against, &p->tuple);
	return bpf_map_lookup_elem(&translations, &against);
}

static __always_inline bool dsr_insert4(struct __sk_buff *skb, struct packet *p, const struct nat_value *asked)
{
	struct dsr_option4 header;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &header.ip, sizeof(header.ip)))
		return false;
	header.ip.ihl = sizeof(header) / 4;
	header.ip.tot_len = bpf_htons((__u16)(p->end - ETH_HLEN + DSR_OPTION4_SIZE));
	header.ip.check = 0;
	header.type = DSR_OPTION4;
	header.length = DSR_OPTION4_SIZE;
	header.port = asked->source_port;
	header.address = asked->source.words[3];
	header.ip.check = checksum_fold((__u32)bpf_csum_diff(0, 0, (__be32 *)&header, sizeof(header), 0));
	return !bpf_skb_adjust_room(skb, DSR_OPTION4_SIZE, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header, sizeof(header), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline bool dsr_insert6(struct __sk_buff *skb, struct packet *p, const struct nat_value *asked)
{
	struct dsr_option6 header;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &header.ip, sizeof(header.ip)))
		return false;
	header.ip.payload_len = bpf_htons((__u16)(p->end - IPV6_PLAIN_END + DSR_OPTION6_SIZE));
	header.next = header.ip.nexthdr;
	header.ip.nexthdr = NEXT_DESTINATION;
	header.words = DSR_OPTION6_SIZE / 8 - 1;
	header.type = DSR_OPTION6;
	header.length = sizeof(header.port) + sizeof(header.address);
	header.port = asked->source_port;
	__builtin_memcpy(header.address, &asked->source, sizeof(header.address));
	header.pad[0] = 1;
	header.pad[1] = 0;
	return !bpf_skb_adjust_room(skb, DSR_OPTION6_SIZE, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header, sizeof(header), BPF_F_RECOMPUTE_CSUM);
}

/* Tells the pod's node by an option what the client speaks to. */
static __always_inline bool dsr_insert(struct __sk_buff *skb, struct packet *p)
{
	const struct nat_value *asked = dsr_asked(p);
	bool is4 = p->ethertype == ETH_P_IP;
	__u16 size = is4 ? DSR_OPTION4_SIZE : DSR_OPTION6_SIZE;

	if (!asked || !(is4 ? dsr_insert4(skb, p, asked) : dsr_insert6(skb, p, asked)))
		return false;
	p->transport += size;
	p->end += size;
	return true;
}

/*
 * Makes a packet of PACKET_DSR_SENT ready to be routed: with the option in it, or p->tuple what it is to be wrapped in.
 * Of a connection the pod's node knows the flow after the first packet, of a datagram after the first fragment.
 */
__outlined bool dsr_prepare(struct __sk_buff *skb, struct packet *p)
{
	const struct address *node;
	__u32 family;

	if (!p)
		return false;
	if (wrap_is_on()) {
		family = p->ethertype == ETH_P_IP ? FAMILY_IPV4 : FAMILY_IPV6;
		node = bpf_map_lookup_elem(&node_addresses, &family);
		if (node)
			p->tuple.source = *node;
		return node;
	}
	if (p->fragment == FRAGMENT_LATER || !balance_takes_option(p) || packet_is_icmp(p) ||
	    (p->tuple.protocol == IPPROTO_TCP && !packet_opens(p)))
		return true;
	return dsr_insert(skb, p);
}

/* Whether a packet to a pod of this node may be one that another node has sent on. */
static __always_inline bool dsr_concerns(struct __sk_buff *skb, const struct packet *p)
{
	bool is4 = p->ethertype == ETH_P_IP;
	const __u8 *header;

	if (!dsr_dispatch || p->fragment == FRAGMENT_LATER)
		return false;
	if (p->tuple.protocol == (is4 ? IPPROTO_IPIP : IPPROTO_IPV6))
		return true;
	if (p->transport != packet_plain_end(p))
		return true;
	if (p->tuple.protocol != IPPROTO_UDP)
		return false;
	header = parse_header(skb, p, GENEVE_HEADER);
	return header && *(const __be16 *)(header + 2) == bpf_htons(dsr_port);
}

/* How long the headers are that another node has put in front of a packet; 0 when these are none. */
static __always_inline __u32 dsr_wrapped(struct __sk_buff *skb, const struct packet *p)
{
	__u32 length = p->transport - ETH_HLEN;
	const struct geneve *geneve;

	if (p->fragment || p->transport != packet_plain_end(p))
		return 0;
	if (p->tuple.protocol != IPPROTO_UDP)
		return length;
	geneve = (const struct geneve *)parse_header(skb, p, sizeof(*geneve));
	if (!geneve || geneve->version_length || geneve->protocol != bpf_htons(p->ethertype) ||
	    geneve->vni != bpf_htonl(overlay_vni << 8))
		return 0;
	return length + GENEVE_HEADER;
}

/* Takes a packet out of the one that it came in, and reads it. */
static __always_inline enum drop_reason dsr_unwrap(struct __sk_buff *skb, struct packet *p, struct scratch *own)
{
	__u32 length = dsr_wrapped(skb, p);
	struct packet within = {.hook = p->hook, .scope = p->scope, .dsr = PACKET_DSR_ARRIVED};
	enum drop_reason reason;

	/* Only nodes are trusted with whom a packet comes from. */
	if (!length || !node_is(&p->tuple.source))
		return DROP_NONE;
	own->direct = p->tuple.destination;
	if (bpf_skb_adjust_room(skb, -(__s32)length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return DROP_MALFORMED;
	*p = within;
	reason = parse_frame(skb, p);
	return reason ? reason : parse_ip(skb, p);
}

/* Takes the option out; `next` becomes the packet as its sender knows it. False when it has none. */
static __always_inline bool dsr_remove4(struct __sk_buff *skb, struct packet *p, struct nat_value *next)
{
	struct dsr_option4 header;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &header, sizeof(header)) || header.ip.ihl != sizeof(header) / 4 ||
	    header.type != DSR_OPTION4 || header.length != DSR_OPTION4_SIZE)
		return false;
	next->destination = address_from4(header.address);
	next->destination_port = header.port;
	header.ip.ihl = sizeof(header.ip) / 4;
	header.ip.tot_len = bpf_htons((__u16)(p->end - ETH_HLEN - DSR_OPTION4_SIZE));
	header.ip.check = 0;
	header.ip.check = checksum_ipv4(&header.ip);
	return !bpf_skb_adjust_room(skb, -DSR_OPTION4_SIZE, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header.ip, sizeof(header.ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline bool dsr_remove6(struct __sk_buff *skb, struct packet *p, struct nat_value *next)
{
	struct dsr_option6 header;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &header, sizeof(header)) || header.ip.nexthdr != NEXT_DESTINATION ||
	    header.words != DSR_OPTION6_SIZE / 8 - 1 || header.type != DSR_OPTION6 ||
	    header.length != sizeof(header.port) + sizeof(header.address))
		return false;
	__builtin_memcpy(&next->destination, header.address, sizeof(next->destination));
	next->destination_port = header.port;
	header.ip.nexthdr = header.next;
	header.ip.payload_len = bpf_htons((__u16)(p->end - IPV6_PLAIN_END - DSR_OPTION6_SIZE));
	return !bpf_skb_adjust_room(skb, -DSR_OPTION6_SIZE, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &header.ip, sizeof(header.ip), BPF_F_RECOMPUTE_CSUM);
}

/* Makes a packet with the option one to the address that the client speaks to. */
static __always_inline enum drop_reason dsr_restore(struct __sk_buff *skb, struct packet *p, struct scratch *own)
{
	bool is4 = p->ethertype == ETH_P_IP;
	__u16 size = is4 ? DSR_OPTION4_SIZE : DSR_OPTION6_SIZE;
	enum drop_reason reason = parse_transport(skb, p);

	if (reason)
		return reason;
	nat_value_set(&own->forward, &p->tuple, 0);
	if (!(is4 ? dsr_remove4(skb, p, &own->forward) : dsr_remove6(skb, p, &own->forward)))
		return DROP_NONE;
	own->direct = p->tuple.destination;
	p->transport -= size;
	p->end -= size;
	if (!nat_rewrite(skb, p, &own->forward))
		return DROP_MALFORMED;
	p->translated = 0;
	p->dsr = PACKET_DSR_FIRST;
	return DROP_NONE;
}

/*
 * Makes a packet to a pod that another node has sent on what the client sent, and says so in p->dsr; leaves all others
 * as they are. Returns the reason to drop it, or DROP_NONE.
 */
__outlined enum drop_reason dsr_accept(struct __sk_buff *skb, struct packet *p)
{
	struct scratch *own = scratch();

	if (!p || !own)
		return DROP_MALFORMED;
	if (p->tuple.protocol == IPPROTO_IPIP || p->tuple.protocol == IPPROTO_IPV6 ||
	    (p->tuple.protocol == IPPROTO_UDP && p->transport == packet_plain_end(p)))
		return dsr_unwrap(skb, p, own);
	return dsr_restore(skb, p, own);
}
