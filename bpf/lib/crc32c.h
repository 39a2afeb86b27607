/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What becomes of a CRC32c (RFC 9260 appendix A) when some of what it covers changes. A CRC is linear: it changes by
 * that of the difference, with as many zero bytes behind it as there are bytes behind the change; and a zero byte
 * multiplies by x^8 in the field of its polynomial.
 */
#pragma once
#include <linux/types.h>
#include "compiler.h"

enum {
	CRC32C_BITS = 32,
	CRC32C_LENGTH_BITS = 16, /* bytes that are behind a change, at most */
};

/* Bits reversed, as all here is. */
#define CRC32C_POLYNOMIAL 0x82f63b78U
#define CRC32C_ONE 0x80000000U

/* x^8 to the power of 2^i. */
static const __u32 crc32c_zeros[CRC32C_LENGTH_BITS] = {
    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
    0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

static __always_inline __u32 crc32c_times_x(__u32 value)
{
	return value >> 1 ^ (CRC32C_POLYNOMIAL & -(value & 1));
}

static __always_inline __u32 crc32c_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 0; i < CRC32C_BITS; i++) {
		product ^= b & -(a >> (CRC32C_BITS - 1 - i) & 1);
		b = crc32c_times_x(b);
	}
	return product;
}

/* What a CRC gains when four bytes change by a difference, as they lie in memory, with so many bytes behind them. */
__outlined __u32 crc32c_change(__u32 difference, __u32 behind)
{
	__u32 crc = difference; /* the byte that is first in memory is the lowest, and the first to go in */

	for (int i = 0; i < CRC32C_BITS; i++)
		crc = crc32c_times_x(crc);
	for (int i = 0; i < CRC32C_LENGTH_BITS; i++)
		crc = crc32c_multiply(crc, behind >> i & 1 ? crc32c_zeros[i] : CRC32C_ONE);
	return crc;
}
