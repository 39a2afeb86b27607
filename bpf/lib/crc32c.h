/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What becomes of a CRC32c (RFC 9260 appendix A) when some of what it covers changes. A CRC is linear: it changes by
 * that of the difference, with as many zero bytes behind it as there are bytes behind the change; and a zero byte
 * multiplies by x^8 in the field of its polynomial.
 */
#pragma once
#include <stdbool.h>
#include <linux/types.h>
#include "compiler.h"

enum {
	CRC32C_BITS = 32,
};

/* Bits reversed, as all here is. */
#define CRC32C_POLYNOMIAL 0x82f63b78U
#define CRC32C_ONE 0x80000000U

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

/* With so many zero bytes behind it that `zeros` is x^8 to that power, if they are there. */
static __always_inline __u32 crc32c_extend(__u32 crc, bool there, __u32 zeros)
{
	return crc32c_multiply(crc, there ? zeros : CRC32C_ONE);
}

/*
 * What a CRC gains when four bytes change by a difference, as they lie in memory, with so many bytes behind them, 65535
 * at most.
 */
__outlined __u32 crc32c_change(__u32 difference, __u32 behind)
{
	__u32 crc = difference; /* the byte that is first in memory is the lowest, and the first to go in */

	for (int i = 0; i < CRC32C_BITS; i++)
		crc = crc32c_times_x(crc);
	/* In code, for a table would be a constant that the loader could set. */
	crc = crc32c_extend(crc, behind & 1 << 0, 0x00800000);
	crc = crc32c_extend(crc, behind & 1 << 1, 0x00008000);
	crc = crc32c_extend(crc, behind & 1 << 2, 0x82f63b78);
	crc = crc32c_extend(crc, behind & 1 << 3, 0x6ea2d55c);
	crc = crc32c_extend(crc, behind & 1 << 4, 0x18b8ea18);
	crc = crc32c_extend(crc, behind & 1 << 5, 0x510ac59a);
	crc = crc32c_extend(crc, behind & 1 << 6, 0xb82be955);
	crc = crc32c_extend(crc, behind & 1 << 7, 0xb8fdb1e7);
	crc = crc32c_extend(crc, behind & 1 << 8, 0x88e56f72);
	crc = crc32c_extend(crc, behind & 1 << 9, 0x74c360a4);
	crc = crc32c_extend(crc, behind & 1 << 10, 0xe4172b16);
	crc = crc32c_extend(crc, behind & 1 << 11, 0x0d65762a);
	crc = crc32c_extend(crc, behind & 1 << 12, 0x35d73a62);
	crc = crc32c_extend(crc, behind & 1 << 13, 0x28461564);
	crc = crc32c_extend(crc, behind & 1 << 14, 0xbf455269);
	crc = crc32c_extend(crc, behind & 1 << 15, 0xe2ea32dc);
	return crc;
}
