/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A pod's link has one neighbour, the host's side of its pair: every question of a pod for an address is answered with
 * that MAC, so that no gateway address is spent and no pod reaches another at layer 2. What a pod says about itself
 * passes to the host's stack, which resolves pods as any neighbour; what it says about others is dropped.
 */
#pragma once
#include <linux/pkt_cls.h>
#include "checksum.h"
#include "drop.h"
#include "endpoint.h"
#include "parse.h"

/* Of <linux/if_arp.h>, which does not compile for eBPF. */
enum {
	ARPHRD_ETHER = 1,
	ARPOP_REQUEST = 1,
	ARPOP_REPLY = 2,
};

/* ARP over Ethernet for IPv4 (RFC 826). */
struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
};

enum ndp_type {
	NDP_ROUTER_SOLICITATION = 133,
	NDP_ROUTER_ADVERTISEMENT = 134,
	NDP_SOLICITATION = 135,
	NDP_ADVERTISEMENT = 136,
	NDP_REDIRECT = 137,
};

enum {
	NDP_HOP_LIMIT = 255,
	NDP_OPTION_TARGET_MAC = 2,
};

/* A solicitation or an advertisement, without its options (RFC 4861 sections 4.3 and 4.4). */
struct ndp_message {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 flags;
	struct address target;
};

/* An advertisement with the target's link-layer address. */
struct ndp_advertisement {
	struct ndp_message message;
	__u8 option;
	__u8 option_length; /* in units of 8 bytes */
	__u8 mac[6];
};

static __always_inline bool neigh_answer_frame(struct __sk_buff *skb, const __u8 *to, const __u8 *from)
{
	return !bpf_skb_store_bytes(skb, 0, to, 6, 0) && !bpf_skb_store_bytes(skb, 6, from, 6, 0);
}

static __always_inline struct address arp_address(const __u8 *ipv4)
{
	__be32 word;

	__builtin_memcpy(&word, ipv4, sizeof(word));
	return address_from4(word);
}

static __always_inline bool mac_equal(const __u8 *x, const __u8 *y)
{
	for (int i = 0; i < 6; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static __always_inline int neigh_arp_answer(struct __sk_buff *skb, struct packet *p, struct arp_packet *arp,
					    const __u8 *host_mac)
{
	struct arp_packet answer = *arp;

	answer.operation = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(answer.sender_mac, host_mac, 6);
	__builtin_memcpy(answer.sender, arp->target, 4);
	__builtin_memcpy(answer.target_mac, arp->sender_mac, 6);
	__builtin_memcpy(answer.target, arp->sender, 4);
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &answer, sizeof(answer), 0) ||
	    !neigh_answer_frame(skb, answer.target_mac, answer.sender_mac))
		return drop(skb, p, DROP_MALFORMED, 0);
	return bpf_redirect(skb->ifindex, 0);
}

/* An ARP packet from a pod. */
__outlined int neigh_arp(struct __sk_buff *skb, struct packet *p)
{
	const struct endpoint_value *endpoint;
	struct address sender, target;
	struct arp_packet arp;

	if (!p)
		return TC_ACT_SHOT;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || arp.hardware != bpf_htons(ARPHRD_ETHER) ||
	    arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 || arp.protocol_length != 4)
		return drop(skb, p, DROP_MALFORMED, 0);
	sender = p->tuple.source = arp_address(arp.sender);
	target = p->tuple.destination = arp_address(arp.target);
	endpoint = sender.words[3] ? endpoint_owning(skb, &sender) : endpoint_behind(skb);
	if (!endpoint || !mac_equal(arp.sender_mac, endpoint->mac) || !frame_source_is(skb, endpoint->mac))
		return drop(skb, p, DROP_FORGED_NEIGHBOUR, 0);
	/* From no address: a probe for a duplicate (RFC 5227). An answer would deny the pod its address. */
	if (!sender.words[3] || arp.operation != bpf_htons(ARPOP_REQUEST) || address_equal(&sender, &target))
		return TC_ACT_OK;
	return neigh_arp_answer(skb, p, &arp, endpoint->host_mac);
}

static __always_inline __u16 ndp_checksum(struct ipv6hdr *ip, struct ndp_advertisement *answer)
{
	__u32 sum = checksum_pseudo6(ip, sizeof(*answer));

	return checksum_fold((__u32)bpf_csum_diff(0, 0, (__be32 *)answer, sizeof(*answer), sum));
}

/* Turns a solicitation around into an advertisement that names the host's side for whatever was asked for. */
static __always_inline int neigh_ndp_answer(struct __sk_buff *skb, struct packet *p, const struct address *target,
					    const __u8 *to, const __u8 *host_mac)
{
	struct ndp_advertisement answer = {
	    .message.type = NDP_ADVERTISEMENT,
	    .message.flags = bpf_htonl(0xe0000000), /* router, solicited, override */
	    .message.target = *target,
	    .option = NDP_OPTION_TARGET_MAC,
	    .option_length = 1,
	};
	struct ipv6hdr ip = {.version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = NDP_HOP_LIMIT};
	__u32 length = ETH_HLEN + sizeof(ip) + sizeof(answer);

	ip.payload_len = bpf_htons(sizeof(answer));
	__builtin_memcpy(&ip.saddr, target, sizeof(*target));
	__builtin_memcpy(&ip.daddr, &p->tuple.source, sizeof(p->tuple.source));
	__builtin_memcpy(answer.mac, host_mac, 6);
	answer.message.checksum = ndp_checksum(&ip, &answer);
	if (skb->len != length && bpf_skb_change_tail(skb, length, 0))
		return drop(skb, p, DROP_MALFORMED, 0);
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN + sizeof(ip), &answer, sizeof(answer), 0) ||
	    !neigh_answer_frame(skb, to, host_mac))
		return drop(skb, p, DROP_MALFORMED, 0);
	return bpf_redirect(skb->ifindex, 0);
}

/*
 * The pod that says this of itself by an address: its own, or any link-local one, which only its own link sees. Or
 * null.
 */
static __always_inline const struct endpoint_value *neigh_speaker(struct __sk_buff *skb, const struct address *address)
{
	const struct endpoint_value *endpoint =
	    address_is_link_local6(address) ? endpoint_behind(skb) : endpoint_owning(skb, address);

	return endpoint && frame_source_is(skb, endpoint->mac) ? endpoint : 0;
}

/* Lets the host's stack hear it, but forward it nowhere: neighbour discovery stays on its link. */
static __always_inline int neigh_heard(struct __sk_buff *skb, struct packet *p)
{
	/* A copy: Linux 6.1 looks up no key that lies in a global function's argument. */
	const struct address destination = p->tuple.destination;
	const struct endpoint_value *endpoint;

	if (address_is_link_local6(&destination) || address_is_link_group(&destination))
		return TC_ACT_OK;
	endpoint = endpoint_of(&destination);
	return endpoint && endpoint_is_host(endpoint) ? TC_ACT_OK : drop(skb, p, DROP_MALFORMED, 0);
}

/* Duplicate address detection (RFC 4862 section 5.4): an answer would deny the pod its address. */
static __always_inline int neigh_duplicate_detection(struct __sk_buff *skb, struct packet *p)
{
	const struct endpoint_value *endpoint = endpoint_behind(skb);

	/* Of a pod that is just starting: its device is up before its row is there. */
	if (!endpoint)
		return drop_quietly(skb, p, DROP_FORGED_NEIGHBOUR);
	if (!frame_source_is(skb, endpoint->mac))
		return drop(skb, p, DROP_FORGED_NEIGHBOUR, 0);
	return address_is_solicited_group(&p->tuple.destination) ? TC_ACT_OK : drop(skb, p, DROP_MALFORMED, 0);
}

static __always_inline int neigh_solicitation(struct __sk_buff *skb, struct packet *p, const struct address *target)
{
	/* A copy, as above. */
	const struct address source = p->tuple.source;
	const struct endpoint_value *endpoint;

	if (address_is_unspecified6(&source))
		return neigh_duplicate_detection(skb, p);
	endpoint = neigh_speaker(skb, &source);
	if (!endpoint)
		return drop(skb, p, DROP_FORGED_NEIGHBOUR, 0);
	if (address_is_group(target))
		return drop(skb, p, DROP_MALFORMED, 0);
	if (endpoint_owning(skb, target))
		return neigh_heard(skb, p);
	return neigh_ndp_answer(skb, p, target, endpoint->mac, endpoint->host_mac);
}

static __always_inline int neigh_advertisement(struct __sk_buff *skb, struct packet *p, const struct address *target)
{
	/* A copy, as above. */
	const struct address source = p->tuple.source;
	bool gateway = address_is_link_local6(target) && target->words[3] == bpf_htonl(GATEWAY6_LAST) &&
		       !(target->words[1] | target->words[2]);

	if (gateway || !neigh_speaker(skb, target) || !neigh_speaker(skb, &source))
		return drop(skb, p, DROP_FORGED_NEIGHBOUR, 0);
	return neigh_heard(skb, p);
}

/* True for neighbour discovery (RFC 4861), which is never fragmented (RFC 6980). */
static __always_inline bool neigh_is_ndp(const struct packet *p)
{
	return unlikely(p->tuple.protocol == IPPROTO_ICMPV6) && p->ethertype == ETH_P_IPV6 && !p->fragment &&
	       p->icmp_type >= NDP_ROUTER_SOLICITATION && p->icmp_type <= NDP_REDIRECT;
}

/* A packet of neighbour discovery from a pod. */
__outlined int neigh_ndp(struct __sk_buff *skb, struct packet *p)
{
	struct ndp_message message;

	if (!p)
		return TC_ACT_SHOT;
	if (p->icmp_type == NDP_ROUTER_SOLICITATION)
		return drop_quietly(skb, p, DROP_MULTICAST);
	if (p->icmp_type != NDP_SOLICITATION && p->icmp_type != NDP_ADVERTISEMENT)
		return drop(skb, p, DROP_FORGED_NEIGHBOUR, 0);
	if (p->ttl != NDP_HOP_LIMIT || p->transport != IPV6_PLAIN_END || p->end < IPV6_PLAIN_END + sizeof(message) ||
	    bpf_skb_load_bytes(skb, IPV6_PLAIN_END, &message, sizeof(message)))
		return drop(skb, p, DROP_MALFORMED, 0);
	return p->icmp_type == NDP_SOLICITATION ? neigh_solicitation(skb, p, &message.target)
						: neigh_advertisement(skb, p, &message.target);
}
