// SPDX-License-Identifier: Apache-2.0
/* What all modes of cw-probe share: clock, addresses, connecting with a deadline, the byte pattern,
 * the result line. */
#include "probe.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct endpoint_address parse_address(const char *text, int port)
{
	struct endpoint_address a = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		a.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		a.length = sizeof(*v6);
	} else {
		fprintf(stderr, "cw-probe: %s is not an IP address\n", text);
		exit(2);
	}
	a.family = a.storage.ss_family;
	return a;
}

int wait_for(int fd, int events, double deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = (short)events};
		double left = deadline_ms - now_ms();
		int n;

		if (left <= 0)
			return 0;
		n = poll(&p, 1, (int)left + 1);
		if (n > 0)
			return p.revents;
		if (n < 0 && errno != EINTR)
			return 0;
	}
}

int bind_source(int fd, int family, const struct options *options)
{
	struct endpoint_address from;

	if (!options->source)
		return 0;
	from = parse_address(options->source, 0);
	if (from.family != family) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return bind(fd, (struct sockaddr *)&from.storage, from.length);
}

struct attempt start_attempt(const struct options *options)
{
	double now = now_ms();

	return (struct attempt){.started_ms = now, .deadline_ms = now + options->timeout_ms};
}

/* The port is at the same place in both families' addresses. */
static int local_port(int fd)
{
	struct sockaddr_in6 address = {0};
	socklen_t length = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &length);
	return ntohs(address.sin6_port);
}

static int finish_connect(int fd, double deadline_ms)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (!wait_for(fd, POLLOUT, deadline_ms)) {
		errno = ETIMEDOUT;
		return -1;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	errno = error;
	return error ? -1 : 0;
}

int connect_to(const struct endpoint_address *to, int type, const struct options *options, struct attempt *attempt)
{
	int fd = socket(to->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind_source(fd, to->family, options) == 0) {
		if (connect(fd, (const struct sockaddr *)&to->storage, to->length) == 0)
			errno = 0;
		else if (errno == EINPROGRESS && finish_connect(fd, attempt->deadline_ms) == 0)
			errno = 0;
	}
	int failure = errno;
	attempt->port = local_port(fd);
	if (failure == 0)
		return fd;
	close(fd);
	errno = failure;
	return -1;
}

void enlarge_receive_buffer(int fd)
{
	int bytes = 4 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* The finaliser of splitmix64: neighbouring indices give unrelated bytes. */
uint8_t pattern_byte(uint64_t seed, size_t index)
{
	uint64_t x = seed + (index + 1) * 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	return (uint8_t)(x >> 56);
}

void fill_pattern(uint64_t seed, size_t start, uint8_t *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		out[i] = pattern_byte(seed, start + i);
}

size_t match_pattern(uint64_t seed, size_t start, const uint8_t *bytes, size_t length)
{
	size_t i = 0;

	while (i < length && bytes[i] == pattern_byte(seed, start + i))
		i++;
	return i;
}

uint64_t new_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)(now_ms() * 1e6) ^ ((uint64_t)getpid() << 40);
	return seed;
}

int report(const struct attempt *attempt, const char *error)
{
	double ms = now_ms() - attempt->started_ms;

	printf("{\"ok\":%s,\"ms\":%.3f", error ? "false" : "true", ms);
	if (attempt->port)
		printf(",\"port\":%d", attempt->port);
	if (error)
		printf(",\"error\":\"%s\"", error);
	puts("}");
	return error ? 1 : 0;
}

int report_errno(const struct attempt *attempt, const char *step)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", step, strerror(errno));
	return report(attempt, text);
}
