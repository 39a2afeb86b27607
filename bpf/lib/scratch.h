/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a program's stack has no room for. */
#pragma once
#include "shared.h"

/* As struct bpf_sock_tuple, whose IPv4 form is shorter. */
struct socket_ends {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
};

/* An ICMP error up to the ports that it quotes, in one family and in the other. */
struct related_room {
	__be32 from[14];
	__be32 to[14];
	__be32 pseudo[10]; /* what the checksum of one in IPv6 covers besides */
};

/* scratch: what a program's stack has no room for, per CPU; of the program that runs. */
struct scratch {
	struct nat_value forward;
	struct nat_value reply;
	struct ct_value flow;
	__u64 former;           /* when the entry of who had the tuple that was found was made; 0 when there is none */
	struct tuple to;        /* what a translated flow would go on as */
	struct ct_key key;      /* of its flow */
	struct nat_key against; /* of its replies */
	struct nat_key came;    /* what a flow came as that had that before */
	struct share_key share; /* of the ports of a crowd */
	struct share share_new;
	struct socket_ends socket; /* that would be given a flow's replies */
	__u32 place;               /* of a crowd's ports: where the search is */
	__u32 groups;              /* that it has left behind */
	__u32 held;                /* ports that it has passed and not marked */
	struct address direct;     /* the pod that another node has chosen */
	__u32 mtu;                 /* of the way that a packet is too long for; 0 when it is not */
	__u32 sequence;            /* of the segment that opens a connection */
	__u8 opens;                /* 1: there is one */
	__u8 remembered;           /* 1: the tuple that was found is one of a connection that its server remembers */
	__u8 pad[2];
	__u32 ingress; /* network interface that the flow came in by, where its answers have to leave by it; else 0 */
	struct related_room related;
};
