/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Addresses of both families in the 16 bytes of struct address: comparing them and telling their kinds apart. */
#pragma once
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "shared.h"

static __always_inline struct address address_from4(__be32 ipv4)
{
	return (struct address){.words = {0, 0, bpf_htonl(0xffff), ipv4}};
}

static __always_inline bool address_equal(const struct address *x, const struct address *y)
{
	return ((x->words[3] ^ y->words[3]) | (x->words[2] ^ y->words[2]) | (x->words[1] ^ y->words[1]) |
		(x->words[0] ^ y->words[0])) == 0;
}

/* The halves of an address as numbers, for an order. */
static __always_inline __u64 address_high(const struct address *address)
{
	__u64 half;

	__builtin_memcpy(&half, &address->words[0], sizeof(half));
	return bpf_be64_to_cpu(half);
}

static __always_inline __u64 address_low(const struct address *address)
{
	__u64 half;

	__builtin_memcpy(&half, &address->words[2], sizeof(half));
	return bpf_be64_to_cpu(half);
}

/* fe80::/10 */
static __always_inline bool address_is_link_local6(const struct address *address)
{
	return (address->words[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool address_is_unspecified6(const struct address *address)
{
	return !(address->words[0] | address->words[1] | address->words[2] | address->words[3]);
}

static __always_inline bool address_is4(const struct address *address)
{
	return !(address->words[0] | address->words[1]) && address->words[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8 and ::1 */
static __always_inline bool address_is_loopback(const struct address *address)
{
	if (address_is4(address))
		return bpf_ntohl(address->words[3]) >> 24 == 127;
	return !(address->words[0] | address->words[1] | address->words[2]) && address->words[3] == bpf_htonl(1);
}

/* 0.0.0.0 and :: */
static __always_inline bool address_is_any(const struct address *address)
{
	return address_is4(address) ? !address->words[3] : address_is_unspecified6(address);
}

/* ff00::/8, 224.0.0.0/4 and 255.255.255.255 */
static __always_inline bool address_is_group(const struct address *address)
{
	__u32 ipv4 = bpf_ntohl(address->words[3]);

	if (address_is4(address))
		return ipv4 >> 28 == 14 || ipv4 == 0xffffffff;
	return (address->words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/*
 * A group that routers pass on, which whoever sends to it means to leave the link: all but 224.0.0.0/24 (RFC 5771
 * section 4), 255.255.255.255 and scopes up to link-local (RFC 7346 section 2).
 */
static __always_inline bool address_is_routed_group(const struct address *address)
{
	__u32 ipv4 = bpf_ntohl(address->words[3]);

	if (!address_is_group(address))
		return false;
	if (address_is4(address))
		return ipv4 != 0xffffffff && ipv4 >> 8 != 0xe00000;
	return (bpf_ntohl(address->words[0]) >> 16 & 0xf) > 2;
}

/* A group of the link, which no router passes on. */
static __always_inline bool address_is_link_group(const struct address *address)
{
	return address_is_group(address) && !address_is_routed_group(address);
}

/* ff02::1:ff00:0/104, where an address is asked for (RFC 4291 section 2.7.1). */
static __always_inline bool address_is_solicited_group(const struct address *address)
{
	return address->words[0] == bpf_htonl(0xff020000) && !address->words[1] && address->words[2] == bpf_htonl(1) &&
	       bpf_ntohl(address->words[3]) >> 24 == 0xff;
}
