// SPDX-License-Identifier: Apache-2.0
/*
 * `serve`: echo, sink and echo-once on the IPv4 and IPv6 wildcard address. One process with epoll
 * by default; with
 * --blocking a process a connection, which spends one system call less per message and is what
 * benches talk to.
 */
#define _GNU_SOURCE /* accept4, close_range, in6_pktinfo */
#include "probe.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum kind {
	LISTENER,
	CONNECTION,
	DATAGRAMS,
};

/* An open socket. `pending` bytes from `offset` on were read and not yet echoed. */
struct peer {
	int fd;
	enum kind kind;
	enum service service;
	uint32_t events; /* what epoll waits for */
	size_t offset;
	size_t pending;
	uint8_t *buffer;
};

#define BUFFER_SIZE 65536

static void fail(const char *attempt)
{
	fprintf(stderr, "cw-probe: %s: %s\n", attempt, strerror(errno));
	exit(1);
}

/* One dual-stack socket: an IPv6 wildcard that takes IPv4 too; plain IPv4 where the kernel has no
 * IPv6. */
static int open_wildcard(int type, int port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, zero = 0, bound;
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	bool has6 = fd >= 0;

	if (!has6)
		fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (has6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	bound = has6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6)) : bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	if (bound < 0)
		fail("bind");
	if (type & SOCK_STREAM && listen(fd, 4096) < 0)
		fail("listen");
	return fd;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static struct peer *add_peer(int epoll, int fd, enum kind kind, enum service service)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};

	if (!p)
		fail("memory");
	p->fd = fd;
	p->kind = kind;
	p->service = service;
	p->events = EPOLLIN;
	if (kind != LISTENER && !(p->buffer = malloc(BUFFER_SIZE)))
		fail("memory");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
	return p;
}

static void drop_peer(struct peer *p)
{
	close(p->fd); /* leaves the epoll set by itself */
	free(p->buffer);
	free(p);
}

/* Reads only while nothing is pending, so that a client that does not read is held back by TCP
 * itself. */
static void wait_on(int epoll, struct peer *p, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = p};

	if (p->events == events)
		return;
	p->events = events;
	epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &event);
}

/* An address as text; a mapped one as IPv4. */
static void address_text(const struct sockaddr_storage *address, char *text)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, text, INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &six->sin6_addr, text, INET6_ADDRSTRLEN);
}

/* Tells who connected which address it has come to, and from which. */
static void tell_who(int fd)
{
	struct sockaddr_storage own, peer;
	socklen_t own_length = sizeof(own), peer_length = sizeof(peer);
	char own_text[INET6_ADDRSTRLEN], peer_text[INET6_ADDRSTRLEN], line[WHO_LENGTH];

	if (getsockname(fd, (struct sockaddr *)&own, &own_length) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_length) < 0)
		return;
	address_text(&own, own_text);
	address_text(&peer, peer_text);
	snprintf(line, sizeof(line), "%s %s", own_text, peer_text);
	send(fd, line, strlen(line), MSG_NOSIGNAL);
}

static void accept_all(int epoll, const struct peer *listener)
{
	int fd;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (listener->service == SERVICE_WHO) {
			tell_who(fd);
			close(fd);
			continue;
		}
		no_delay(fd);
		add_peer(epoll, fd, CONNECTION, listener->service);
	}
}

/* False when the connection is over. */
static bool flush(int epoll, struct peer *p)
{
	while (p->pending > 0) {
		ssize_t n = send(p->fd, p->buffer + p->offset, p->pending, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			wait_on(epoll, p, EPOLLOUT);
			return true;
		}
		if (n < 0)
			return false;
		p->offset += (size_t)n;
		p->pending -= (size_t)n;
	}
	wait_on(epoll, p, EPOLLIN);
	return p->service != SERVICE_ONCE;
}

static bool serve_connection(int epoll, struct peer *p)
{
	ssize_t n;

	if (p->pending > 0)
		return flush(epoll, p);
	n = recv(p->fd, p->buffer, BUFFER_SIZE, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if (p->service == SERVICE_SINK)
		return true;
	p->offset = 0;
	p->pending = (size_t)n;
	return flush(epoll, p);
}

/* Lets the route choose the device: an answer may leave by another than the question came in by. */
static void clear_interface(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
	}
}

/* Answers from the address that was asked, also where there are several: the packet info travels
 * back. */
static void echo_datagrams(const struct peer *p)
{
	struct sockaddr_storage from;
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct iovec data = {.iov_base = p->buffer, .iov_len = BUFFER_SIZE};

	for (;;) {
		struct msghdr m = {.msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &data,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT);

		if (n < 0)
			return;
		clear_interface(&m);
		data.iov_len = (size_t)n;
		sendmsg(p->fd, &m, MSG_DONTWAIT);
		data.iov_len = BUFFER_SIZE;
	}
}

/* An IPv6 socket reports IPv4 packets in the same form, as mapped addresses. */
static int open_datagrams(int port)
{
	int fd = open_wildcard(SOCK_DGRAM, port);
	int one = 1;

	enlarge_receive_buffer(fd);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) < 0)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	return fd;
}

static _Noreturn void serve_epoll(int port)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	add_peer(epoll, open_datagrams(port + SERVICE_ECHO), DATAGRAMS, SERVICE_ECHO);
	add_peer(epoll, open_wildcard(SOCK_STREAM | SOCK_NONBLOCK, port + SERVICE_WHO), LISTENER, SERVICE_WHO);
	for (int s = SERVICE_ECHO; s <= SERVICE_ONCE; s++)
		add_peer(epoll, open_wildcard(SOCK_STREAM | SOCK_NONBLOCK, port + s), LISTENER, (enum service)s);
	for (;;) {
		struct epoll_event event;
		struct peer *p;

		if (epoll_wait(epoll, &event, 1, -1) < 1)
			continue;
		p = event.data.ptr;
		if (p->kind == LISTENER)
			accept_all(epoll, p);
		else if (p->kind == DATAGRAMS)
			echo_datagrams(p);
		else if (!serve_connection(epoll, p))
			drop_peer(p);
	}
}

/* Runs in a process of its own until the client closes. */
static _Noreturn void blocking_connection(int fd, enum service service)
{
	static uint8_t buffer[262144];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		if (service == SERVICE_ECHO && send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	_exit(0);
}

/* A process that may have no more descriptors stays with what it keeps, and a child of its goes on without. */
static void keep(int fd)
{
	static int first;
	struct rlimit limit;

	if (!first)
		first = fd;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t)fd + 2 < limit.rlim_cur)
		return;
	if (fork() != 0)
		for (;;)
			pause();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range((unsigned int)first, ~0U, 0);
}

static _Noreturn void blocking_listener(int fd, enum service service)
{
	for (;;) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		uint8_t byte = 0;

		if (peer < 0)
			continue;
		no_delay(peer);
		if (service == SERVICE_ONCE) {
			if (recv(peer, &byte, 1, 0) == 1)
				send(peer, &byte, 1, MSG_NOSIGNAL);
			if (byte == KEEP) {
				keep(peer);
				continue;
			}
		} else if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			blocking_connection(peer, service);
		}
		close(peer);
	}
}

static _Noreturn void blocking_datagrams(int fd)
{
	static uint8_t buffer[65536];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

		if (n >= 0)
			sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, length);
	}
}

static _Noreturn void serve_blocking(int port)
{
	int datagrams = open_wildcard(SOCK_DGRAM, port);
	int listeners[SERVICE_ONCE + 1];

	signal(SIGCHLD, SIG_IGN); /* ended connections leave no zombies */
	for (int s = SERVICE_ECHO; s <= SERVICE_ONCE; s++)
		listeners[s] = open_wildcard(SOCK_STREAM, port + s);
	for (int s = SERVICE_ECHO; s <= SERVICE_ONCE; s++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			blocking_listener(listeners[s], (enum service)s);
		}
	blocking_datagrams(datagrams);
}

int serve(int port, const struct options *options)
{
	if (options->blocking)
		serve_blocking(port);
	serve_epoll(port);
}
