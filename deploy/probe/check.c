// SPDX-License-Identifier: Apache-2.0
/* `check tcp` and `check udp`: sends a pattern and verifies that the echo is the same, byte by
 * byte. */
#include "probe.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct transfer {
	int fd;
	uint64_t seed;
	size_t total;
	size_t sent;
	size_t received;
	uint8_t buffer[65536];
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Both return false with errno set when the connection failed; a full or empty socket is no
 * failure. */
static bool send_some(struct transfer *t)
{
	size_t length = smaller(sizeof(t->buffer), t->total - t->sent);
	ssize_t n;

	fill_pattern(t->seed, t->sent, t->buffer, length);
	n = send(t->fd, t->buffer, length, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	t->sent += (size_t)n;
	return true;
}

static bool receive_some(struct transfer *t)
{
	ssize_t n = recv(t->fd, t->buffer, sizeof(t->buffer), 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 || match_pattern(t->seed, t->received, t->buffer, (size_t)n) < (size_t)n) {
		errno = n == 0 ? ECONNRESET : EBADMSG;
		return false;
	}
	t->received += (size_t)n;
	return true;
}

static int report_progress(const struct attempt *attempt, const struct transfer *t, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "%s after %zu bytes sent and %zu of %zu received", what, t->sent, t->received,
		 t->total);
	return report(attempt, text);
}

static int failure(const struct attempt *attempt, const struct transfer *t)
{
	if (errno == EBADMSG)
		return report_progress(attempt, t, "echo differs from what was sent");
	if (errno == ECONNRESET)
		return report_progress(attempt, t, "connection closed by the other side");
	return report_errno(attempt, "transfer");
}

int check_tcp(const struct endpoint_address *to, size_t bytes, const struct options *options)
{
	static struct transfer t;
	struct attempt attempt = start_attempt(options);

	t = (struct transfer){.seed = new_seed(), .total = bytes};
	t.fd = connect_to(to, SOCK_STREAM, options, &attempt);
	if (t.fd < 0)
		return report_errno(&attempt, "connect");
	while (t.received < t.total) {
		int events = POLLIN | (t.sent < t.total ? POLLOUT : 0);
		int ready = wait_for(t.fd, events, attempt.deadline_ms);

		if (!ready)
			return report_progress(&attempt, &t, "timed out");
		if ((ready & (POLLIN | POLLERR | POLLHUP)) && !receive_some(&t))
			return failure(&attempt, &t);
		if ((ready & POLLOUT) && t.sent < t.total && !send_some(&t))
			return failure(&attempt, &t);
	}
	return report(&attempt, NULL);
}

/* A router may find a way smaller than the one before it did, and tells each time (RFC 1191, RFC 8201). */
#define PATH_MTU_STEPS 3

/* One datagram there and back; late answers to other datagrams do not fit the pattern and are
 * passed over. One that was too long for the way goes again, in smaller fragments. */
static bool exchange(struct transfer *t, size_t length, double deadline)
{
	int steps = 0;

	fill_pattern(t->seed, t->sent, t->buffer, length);
	if (send(t->fd, t->buffer, length, 0) < 0)
		return false;
	t->sent += length;
	for (;;) {
		ssize_t n;

		if (!wait_for(t->fd, POLLIN, deadline)) {
			errno = ETIMEDOUT;
			return false;
		}
		n = recv(t->fd, t->buffer, sizeof(t->buffer), 0);
		if (n < 0 && errno == EMSGSIZE && steps++ < PATH_MTU_STEPS) {
			fill_pattern(t->seed, t->received, t->buffer, length);
			if (send(t->fd, t->buffer, length, 0) >= 0)
				continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n == (ssize_t)length && match_pattern(t->seed, t->received, t->buffer, length) == length)
			break;
	}
	t->received += length;
	return true;
}

int check_udp(const struct endpoint_address *to, size_t bytes, const struct options *options)
{
	static struct transfer t;
	struct attempt attempt = start_attempt(options);

	t = (struct transfer){.seed = new_seed(), .total = bytes};
	t.fd = connect_to(to, SOCK_DGRAM, options, &attempt);
	if (t.fd < 0)
		return report_errno(&attempt, "connect");
	enlarge_receive_buffer(t.fd);
	while (t.received < t.total) {
		if (exchange(&t, smaller(options->size, t.total - t.sent), attempt.deadline_ms))
			continue;
		if (errno == ETIMEDOUT)
			return report_progress(&attempt, &t, "timed out");
		return report_errno(&attempt, "datagram");
	}
	return report(&attempt, NULL);
}
