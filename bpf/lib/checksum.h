/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The Internet checksum (RFC 1071) of what programs write themselves. */
#pragma once
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* Of an IPv4 header without options whose own checksum is zero. */
static __always_inline __u16 checksum_ipv4(const struct iphdr *ip)
{
	const __u32 *words = (const __u32 *)ip;
	__u64 sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return checksum_fold((__u32)sum);
}

/* What an ICMPv6 checksum covers besides the message: addresses, length and protocol (RFC 8200 section 8.1). */
static __always_inline __u32 checksum_pseudo6(struct ipv6hdr *ip, __u32 length)
{
	__be32 rest[2] = {bpf_htonl(length), bpf_htonl(IPPROTO_ICMPV6)};
	__s64 sum = bpf_csum_diff(0, 0, (__be32 *)&ip->saddr, 32, 0);

	return (__u32)bpf_csum_diff(0, 0, rest, sizeof(rest), (__u32)sum);
}

/* A checksum after what it covers has changed by a difference (RFC 1624). */
static __always_inline __u16 checksum_move(__u16 checksum, __u32 difference)
{
	difference = (difference & 0xffff) + (difference >> 16);
	return checksum_fold((__u32)(__u16)~checksum + difference);
}

/* Adds to a sum what it gains when one 32-bit word becomes another (RFC 1624). */
static __always_inline __u64 checksum_change(__u64 sum, __u32 from, __u32 to)
{
	return sum + (__u32)~from + to;
}

/* A checksum after a change of what it covers. */
static __always_inline __u16 checksum_apply(__u16 check, __u64 change)
{
	change = (change & 0xffffffff) + (change >> 32);
	change = (change & 0xffffffff) + (change >> 32);
	return checksum_move(check, (__u32)change);
}
