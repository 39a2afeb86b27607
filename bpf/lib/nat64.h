/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * NAT64 (RFC 6146): what pods send to an IPv6 address that stands for an IPv4 one goes out as IPv4 from one of this
 * node's addresses, and replies come back as IPv6. Such a flow is a translated one like all that leave the cluster, but
 * that its packets change the family (RFC 7915). Conntrack knows it as IPv4.
 */
#pragma once
#include "checksum.h"
#include "masquerade.h"
#include "nat.h"
#include "nat64-checksum.h"
#include "service.h"

enum {
	NAT64_GROWTH = sizeof(struct ipv6hdr) - sizeof(struct iphdr), /* of a packet that becomes IPv6 */
	NAT64_LEAST_MTU6 = 1280,                                      /* RFC 8200 section 5 */
	NAT64_MOST = 65535 - sizeof(struct iphdr),                    /* bytes behind the IP header */
};

/* What transport checksums cover besides the packet (RFC 8200 section 8.1). */
struct nat64_pseudo6 {
	struct address source;
	struct address destination;
	__be32 length;
	__be32 protocol;
};

/* Whether a pod's packet is for an IPv4 address. */
__outlined bool nat64_concerns(const struct packet *p)
{
	struct range_key key = {.prefix_length = 128};

	if (!(masquerade_flags & MASQUERADE_NAT64) || !p || p->scope != SERVICE_INSIDE || p->ethertype != ETH_P_IPV6)
		return false;
	key.address = p->tuple.destination;
	return bpf_map_lookup_elem(&nat64_prefixes, &key);
}

/*
 * Whether the scratch's destination, an IPv4 address, is a host's outside the cluster. In a range that knows pods'
 * addresses it may be: those that are translated have none which it could know.
 */
__outlined bool nat64_is_outside(void)
{
	const struct scratch *own = scratch();
	const struct ipcache_value *node;
	const struct address *to;

	if (!own)
		return false;
	to = &own->to.destination;
	if (address_is_group(to) || address_is_loopback(to) || address_is_any(to) || route_stays_on_link(to))
		return false;
	if (endpoint_of(to) || service_find(to, 0, 0, SERVICE_INSIDE))
		return false;
	node = node_of(to);
	return !node || masquerade_takes_node(node);
}

/* Bytes of an IP packet that a pod of this node takes. */
static __always_inline __u32 nat64_pod_mtu(struct __sk_buff *skb, const struct address *pod)
{
	const struct endpoint_value *endpoint = endpoint_of(pod);
	__u32 mtu = 0;

	if (!endpoint || bpf_check_mtu(skb, endpoint->ifindex, &mtu, 0, 0) < 0)
		return 0;
	return mtu;
}

/*
 * Why a packet cannot go on in the other family as the scratch's forward entry says, or DROP_NONE. When it would be too
 * long for the pod, scratch.mtu is what the sender may send.
 */
__outlined enum drop_reason nat64_refuses(struct __sk_buff *skb, const struct packet *p)
{
	struct scratch *own = scratch();
	struct address pod;
	__u32 mtu;

	if (!p || !own)
		return DROP_MALFORMED;
	if (!masquerade_has_ports(p))
		return DROP_NAT_PROTOCOL;
	if (p->fragment || p->transport != packet_plain_end(p) || p->end - p->transport > NAT64_MOST ||
	    (skb->gso_size && nat64_lacks_checksum(skb, p)))
		return DROP_NAT64_FORM;
	if (p->ethertype != ETH_P_IP)
		return DROP_NONE;
	pod = own->forward.destination;
	mtu = nat64_pod_mtu(skb, &pod);
	if (!mtu || packet_wire_length(skb, p) + NAT64_GROWTH <= mtu)
		return DROP_NONE;
	own->mtu = mtu - NAT64_GROWTH;
	return DROP_TOO_BIG;
}

/* Writes the entries of a flow that begins with this packet. */
static __always_inline enum drop_reason nat64_open(struct __sk_buff *skb, const struct packet *p, struct scratch *own)
{
	enum drop_reason reason = nat64_refuses(skb, p);
	__u32 device;

	if (reason)
		return reason;
	own->forward.destination = own->to.destination = address_from4(p->tuple.destination.words[3]);
	own->forward.flags = NAT_OTHER_FAMILY;
	if (!nat64_is_outside())
		return DROP_NAT64_INSIDE;
	device = masquerade_device(skb, p, &own->to.destination);
	return masquerade_address(device, FAMILY_IPV4, 0) ? masquerade_open(skb, p, device) : DROP_NO_ROUTE;
}

/* Makes the packet's EtherType and IP header those of the other family. What they were is void. */
static __always_inline bool nat64_store(struct __sk_buff *skb, __u16 ethertype, const void *ip, __u32 size)
{
	__be16 type = bpf_htons(ethertype);

	return !bpf_skb_change_proto(skb, type, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN - sizeof(type), &type, sizeof(type), 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, ip, size, BPF_F_RECOMPUTE_CSUM);
}

/* An echo's type and checksum, which covers `moved` too: in IPv6 the pseudo-header. */
static __always_inline bool nat64_write_echo(struct __sk_buff *skb, struct packet *p, __u8 type, __s64 moved)
{
	__u32 at = p->transport + ICMP_CHECKSUM;
	__be16 before = bpf_htons((__u16)(p->icmp_type << 8)), after = bpf_htons((__u16)(type << 8));

	p->icmp_type = type;
	return !bpf_l4_csum_replace(skb, at, 0, (__u64)moved, BPF_F_PSEUDO_HDR) &&
	       !bpf_l4_csum_replace(skb, at, before, after, sizeof(after)) &&
	       !bpf_skb_store_bytes(skb, p->transport, &type, sizeof(type), 0);
}

static __always_inline void nat64_set_tuple(struct packet *p, const struct nat_value *to)
{
	p->tuple.source = to->source;
	p->tuple.destination = to->destination;
	p->tuple.source_port = to->source_port;
	p->tuple.destination_port = to->destination_port;
	p->translated = 1;
}

/* Makes an IPv6 packet what it goes on as in IPv4 (RFC 7915 section 5.1). */
__outlined bool nat64_to4(struct __sk_buff *skb, struct packet *p, const struct nat_value *to)
{
	struct iphdr ip = {.version = 4, .ihl = 5};
	bool echo = p && p->tuple.protocol == IPPROTO_ICMPV6;
	__be32 rest[2], first;
	__u32 length;
	__s64 moved;

	if (!p || !to || bpf_skb_load_bytes(skb, ETH_HLEN, &first, sizeof(first)))
		return false;
	length = p->end - p->transport;
	ip.tos = (__u8)(bpf_ntohl(first) >> 20);
	ip.tot_len = bpf_htons((__u16)(length + sizeof(ip)));
	ip.ttl = p->ttl;
	ip.protocol = nat_protocol(to, p->tuple.protocol);
	ip.saddr = to->source.words[3];
	ip.daddr = to->destination.words[3];
	/* What its sender would not make shorter may be cut on its way. */
	if (packet_wire_length(skb, p) > NAT64_LEAST_MTU6)
		ip.frag_off = bpf_htons(0x4000);
	else
		ip.id = (__be16)bpf_get_prandom_u32();
	ip.check = checksum_ipv4(&ip);
	rest[0] = bpf_htonl(length);
	rest[1] = bpf_htonl(IPPROTO_ICMPV6);
	/* Of TCP and UDP both pseudo-headers have the same length and protocol; ICMP has none in IPv4. */
	moved = bpf_csum_diff(p->tuple.source.words, 2 * sizeof(struct address), &ip.saddr, echo ? 0 : 8, 0);
	if (echo)
		moved = bpf_csum_diff(rest, sizeof(rest), 0, 0, (__wsum)moved);
	if (!nat64_store(skb, ETH_P_IP, &ip, sizeof(ip)))
		return false;
	p->ethertype = ETH_P_IP;
	p->transport = IPV4_PLAIN_END;
	p->end = IPV4_PLAIN_END + length;
	p->tuple.protocol = ip.protocol;
	if (echo && !nat64_write_echo(skb, p, p->icmp_type == ICMP6_ECHO ? ICMP4_ECHO : ICMP4_ECHO_REPLY, moved))
		return false;
	if (!nat_write_transport(skb, p, to, moved))
		return false;
	nat64_set_tuple(p, to);
	return true;
}

/* Makes an IPv4 packet what it goes on as in IPv6 (RFC 7915 section 4.1). */
__outlined bool nat64_to6(struct __sk_buff *skb, struct packet *p, const struct nat_value *to)
{
	struct ipv6hdr ip = {.version = 6};
	bool echo = p && p->tuple.protocol == IPPROTO_ICMP, bare;
	__be32 before[2], rest[2];
	__u32 length;
	__s64 moved;
	__u8 tos;

	if (!p || !to || bpf_skb_load_bytes(skb, IPV4_START + 1, &tos, sizeof(tos)))
		return false;
	length = p->end - p->transport;
	ip.priority = tos >> 4;
	ip.flow_lbl[0] = (__u8)(tos << 4);
	ip.payload_len = bpf_htons((__u16)length);
	ip.nexthdr = nat_protocol(to, p->tuple.protocol);
	ip.hop_limit = p->ttl;
	__builtin_memcpy(&ip.saddr, &to->source, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &to->destination, sizeof(ip.daddr));
	before[0] = p->tuple.source.words[3];
	before[1] = p->tuple.destination.words[3];
	rest[0] = bpf_htonl(length);
	rest[1] = bpf_htonl(IPPROTO_ICMPV6);
	moved = bpf_csum_diff(before, echo ? 0 : sizeof(before), (__be32 *)&ip.saddr, 2 * sizeof(ip.saddr), 0);
	if (echo)
		moved = bpf_csum_diff(0, 0, rest, sizeof(rest), (__wsum)moved);
	bare = nat64_lacks_checksum(skb, p);
	if (!nat64_store(skb, ETH_P_IPV6, &ip, sizeof(ip)))
		return false;
	p->transport = IPV6_PLAIN_END;
	p->end = IPV6_PLAIN_END + length;
	if (echo && !nat64_write_echo(skb, p, p->icmp_type == ICMP4_ECHO ? ICMP6_ECHO : ICMP6_ECHO_REPLY, moved))
		return false;
	if (!nat_write_transport(skb, p, to, moved))
		return false;
	if (bare) {
		rest[1] = bpf_htonl(IPPROTO_UDP);
		moved = bpf_csum_diff(0, 0, (__be32 *)&ip.saddr, 2 * sizeof(ip.saddr), 0);
		moved = bpf_csum_diff(0, 0, rest, sizeof(rest), (__wsum)moved);
		if (!nat64_make_checksum(skb, p, (__u32)moved))
			return false;
	}
	p->ethertype = ETH_P_IPV6;
	p->tuple.protocol = ip.nexthdr;
	nat64_set_tuple(p, to);
	return true;
}

/* Makes the packet what it goes on as, in the other family. */
static __always_inline bool nat64_rewrite(struct __sk_buff *skb, struct packet *p, const struct nat_value *to)
{
	return p->ethertype == ETH_P_IP ? nat64_to6(skb, p, to) : nat64_to4(skb, p, to);
}
