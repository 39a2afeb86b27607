/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services at the socket: a program that connects or sends to a service speaks to a backend from the first packet on,
 * at no cost for any packet after it. What it is told of its peer is the service again. Attached to the cgroup that
 * holds all pods and processes of the node.
 */
#include <linux/errno.h>
#include "lib/config.h"
#include "lib/events.h"
#include "lib/service.h"

/* A connection that nobody serves, told as a drop. */
static __always_inline void sock_tell(const struct bpf_sock_addr *ctx, const struct address *service)
{
	__u64 now = bpf_ktime_get_ns();
	struct event *e;

	count(METRIC_DROPPED, HOOK_SOCKET, DROP_NO_BACKEND, 0);
	if (!event_budget_take(now))
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return;
	*e = (struct event){
	    .time_ns = now,
	    .destination = *service,
	    .destination_port = (__be16)ctx->user_port,
	    .protocol = (__u8)ctx->protocol,
	    .kind = EVENT_DROP,
	    .hook = HOOK_SOCKET,
	    .reason = DROP_NO_BACKEND,
	    .ethertype = address_is4(service) ? ETH_P_IP : ETH_P_IPV6,
	};
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/*
 * Whether the packets of a pod's socket are to be translated one by one instead: those of a connection from a port of
 * its choice, which it may make to two services that share a backend, and only packets can be given another port. And
 * never what is for the pod itself.
 */
static __always_inline bool sock_goes_by_packet(struct bpf_sock_addr *ctx, const struct address *destination,
						__u64 netns)
{
	if (netns == host_netns)
		return false;
	return address_is_loopback(destination) || (ctx->protocol == IPPROTO_TCP && ctx->sk && ctx->sk->src_port);
}

/*
 * The backend of a service at this address; null when it is none, or when nobody serves it: then `refused` is set. A
 * datagram socket that is not connected keeps its backend while those of the service stay the same.
 */
static __always_inline const struct backend *sock_backend(struct bpf_sock_addr *ctx, const struct address *destination,
							  __u32 number, bool *refused)
{
	const struct service_value *service =
	    service_find(destination, (__be16)ctx->user_port, (__u8)ctx->protocol, SERVICE_INSIDE);
	struct affinity_key client = {};
	const struct backend *backend;
	__u64 netns;

	if (!service)
		return 0;
	netns = bpf_get_netns_cookie(ctx);
	if (sock_goes_by_packet(ctx, destination, netns))
		return 0;
	client.client.words[2] = (__be32)(netns >> 32);
	client.client.words[3] = (__be32)netns;
	client.service = service->id;
	backend = service_pick(service, &client, service_number(service, (__u8)ctx->protocol, number));
	if (backend)
		return backend;
	*refused = true;
	sock_tell(ctx, destination);
	return 0;
}

static __always_inline void sock_remember(struct bpf_sock_addr *ctx, const struct backend *backend,
					  const struct address *service)
{
	struct socket_peer_key key = {
	    .cookie = bpf_get_socket_cookie(ctx), .address = backend->address, .port = backend->port};
	struct socket_peer peer = {.address = *service, .port = (__be16)ctx->user_port};

	bpf_map_update_elem(&socket_peers, &key, &peer, BPF_ANY);
}

/* What the socket's program believes to speak to, when it really speaks to this address. */
static __always_inline const struct socket_peer *sock_recall(struct bpf_sock_addr *ctx, const struct address *address)
{
	struct socket_peer_key key = {
	    .cookie = bpf_get_socket_cookie(ctx), .address = *address, .port = (__be16)ctx->user_port};

	return bpf_map_lookup_elem(&socket_peers, &key);
}

/* Ends a system call as a port unreachable would. */
static __always_inline int sock_refuse(void)
{
	bpf_set_retval(-ECONNREFUSED);
	return 0;
}

static __always_inline int sock_send4(struct bpf_sock_addr *ctx, __u32 number)
{
	struct address destination = address_from4(ctx->user_ip4);
	bool refused = false;
	const struct backend *backend = sock_backend(ctx, &destination, number, &refused);

	if (refused)
		return sock_refuse();
	if (!backend)
		return 1;
	sock_remember(ctx, backend, &destination);
	ctx->user_ip4 = backend->address.words[3];
	ctx->user_port = backend->port;
	return 1;
}

static __always_inline struct address sock_address6(const struct bpf_sock_addr *ctx)
{
	return (struct address){.words = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]}};
}

static __always_inline void sock_set6(struct bpf_sock_addr *ctx, const struct address *address, __be16 port)
{
	ctx->user_ip6[0] = address->words[0];
	ctx->user_ip6[1] = address->words[1];
	ctx->user_ip6[2] = address->words[2];
	ctx->user_ip6[3] = address->words[3];
	ctx->user_port = port;
}

/* IPv6 sockets that speak IPv4 use mapped addresses, as all maps do. */
static __always_inline int sock_send6(struct bpf_sock_addr *ctx, __u32 number)
{
	struct address destination = sock_address6(ctx);
	bool refused = false;
	const struct backend *backend = sock_backend(ctx, &destination, number, &refused);

	if (refused)
		return sock_refuse();
	if (!backend)
		return 1;
	sock_remember(ctx, backend, &destination);
	sock_set6(ctx, &backend->address, backend->port);
	return 1;
}

static __always_inline int sock_receive4(struct bpf_sock_addr *ctx)
{
	struct address source = address_from4(ctx->user_ip4);
	const struct socket_peer *peer = sock_recall(ctx, &source);

	if (!peer)
		return 1;
	ctx->user_ip4 = peer->address.words[3];
	ctx->user_port = peer->port;
	return 1;
}

static __always_inline int sock_receive6(struct bpf_sock_addr *ctx)
{
	struct address source = sock_address6(ctx);
	const struct socket_peer *peer = sock_recall(ctx, &source);

	if (peer)
		sock_set6(ctx, &peer->address, peer->port);
	return 1;
}

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *ctx)
{
	return sock_send4(ctx, bpf_get_prandom_u32());
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *ctx)
{
	return sock_send6(ctx, bpf_get_prandom_u32());
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *ctx)
{
	return sock_send4(ctx, (__u32)bpf_get_socket_cookie(ctx));
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *ctx)
{
	return sock_send6(ctx, (__u32)bpf_get_socket_cookie(ctx));
}

/* Whether a service of this node has a port at an address; which of its own the node does not say means all. */
static __always_inline bool sock_has_port(const struct bpf_sock_addr *ctx, struct address address, __u32 family)
{
	const struct service_value *service;
	const struct address *own;

	if (address_is_any(&address)) {
		own = bpf_map_lookup_elem(&node_addresses, &family);
		if (!own)
			return false;
		address = *own;
	}
	service = service_find(&address, (__be16)ctx->user_port, (__u8)ctx->protocol, SERVICE_INSIDE);
	return service && !(service->flags & SERVICE_EXCLUSIVE);
}

/* A process of the node that would be given what is for a service, and hear nothing, is told so now. */
static __always_inline int sock_bind(struct bpf_sock_addr *ctx, const struct address *address, bool has4)
{
	if (!ctx->user_port || bpf_get_netns_cookie(ctx) != host_netns)
		return 1;
	if (!(has4 && sock_has_port(ctx, address_is4(address) ? *address : address_from4(0), FAMILY_IPV4)) &&
	    !(!address_is4(address) && sock_has_port(ctx, *address, FAMILY_IPV6)))
		return 1;
	bpf_set_retval(-EADDRINUSE);
	return 0;
}

SEC("cgroup/bind4")
int sock_bind4(struct bpf_sock_addr *ctx)
{
	struct address address = address_from4(ctx->user_ip4);

	return sock_bind(ctx, &address, true);
}

SEC("cgroup/bind6")
int sock_bind6(struct bpf_sock_addr *ctx)
{
	struct address address = sock_address6(ctx);

	/* What is bound to all addresses of IPv6 is mostly so of IPv4 too. */
	return sock_bind(ctx, &address, address_is4(&address) || address_is_any(&address));
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *ctx)
{
	return sock_receive4(ctx);
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *ctx)
{
	return sock_receive6(ctx);
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *ctx)
{
	return sock_receive4(ctx);
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *ctx)
{
	return sock_receive6(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
