/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Tunnel metadata of packets that arrive from and leave for other nodes. */
#pragma once
#include <linux/errno.h>
#include <linux/if_packet.h>
#include "config.h"
#include "endpoint.h"
#include "parse.h"

/* True when the packet came through a tunnel with this network's identifier. Out of line for its stack. */
__outlined bool overlay_arrived(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	long error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);

	/* The kernel insists that the caller knows the underlay's family. */
	if (error == -EPROTO)
		error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
	return !error && key.tunnel_id == overlay_vni;
}

/* True when a program has already written the packet's tunnel key, of either family. */
static __always_inline bool overlay_has_tunnel(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	long error = bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);

	return !error || error == -EPROTO;
}

/* True for a packet that claims to come from a pod of this very node. */
static __always_inline bool overlay_loops(const struct packet *p)
{
	const struct endpoint_value *source = endpoint_of(&p->tuple.source);

	return source && !endpoint_is_host(source);
}

/* The inner frame was addressed on another node's link: what is for this node says so only from here on. */
static __always_inline void overlay_accept(struct __sk_buff *skb)
{
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
}
