/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The transport header that an ICMP error quotes, of a translated packet: it becomes again what the packet came with.
 */
#pragma once
#include <linux/in.h>
#include "checksum.h"
#include "shared.h"

/* At least so much of the transport header is quoted (RFC 792; RFC 4443 section 2.4 asks for more). */
struct quoted_transport {
	__be16 source_port;
	__be16 destination_port;
	__be16 rest;
	__u16 udp_checksum;
};

/* The identifier of an echo, and its checksum, which covers `moved` too: in IPv6 the difference that the addresses
 * make. */
static __always_inline void quoted_identifier_set(struct quoted_transport *quoted, __be16 id, __u32 moved)
{
	__be32 before = quoted->rest, after = id;

	quoted->rest = id;
	moved = (__u32)bpf_csum_diff(&before, sizeof(before), &after, sizeof(after), moved);
	quoted->destination_port = checksum_move(quoted->destination_port, moved);
}

/* Ports, and a UDP checksum, which covers `moved` too: the difference that the addresses make. */
static __always_inline void quoted_ports_set(struct quoted_transport *quoted, const struct nat_value *back,
					     __u8 protocol, __u32 moved)
{
	__be16 before[2] = {quoted->source_port, quoted->destination_port};
	__be16 after[2] = {back->destination_port, back->source_port};

	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		quoted_identifier_set(quoted, back->destination_port, protocol == IPPROTO_ICMP ? 0 : moved);
		return;
	}
	quoted->source_port = after[0];
	quoted->destination_port = after[1];
	if (protocol != IPPROTO_UDP || !quoted->udp_checksum)
		return;
	moved = (__u32)bpf_csum_diff((__be32 *)before, sizeof(before), (__be32 *)after, sizeof(after), moved);
	quoted->udp_checksum = checksum_move(quoted->udp_checksum, moved) ?: 0xffff;
}
