// SPDX-License-Identifier: Apache-2.0
/*
 * `bench`: round trips (rr), connect + round trip (crr), the same over UDP (udp-rr), and a TCP
 * stream to a sink. The caller pins both ends to one core: otherwise the wake-ups between cores
 * drown the path that is measured.
 */
#include "probe.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

struct samples {
	float *us;
	size_t count;
	size_t capacity;
};

/* One operation: true when it worked. `state` is what `open` gave. */
struct benchmark {
	const char *name;
	enum service service;
	int type;
	bool keeps_connection;
	bool (*once)(int fd, uint8_t *buffer, size_t size);
};

static void fail(const char *attempt)
{
	fprintf(stderr, "cw-probe: bench: %s: %s\n", attempt, strerror(errno));
	exit(1);
}

static void add_sample(struct samples *s, double us)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity ? s->capacity * 2 : 65536;
		s->us = realloc(s->us, s->capacity * sizeof(*s->us));
		if (!s->us)
			fail("memory");
	}
	s->us[s->count++] = (float)us;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct samples *s, double p)
{
	return s->us[(size_t)((double)(s->count - 1) * p)];
}

/* User and system time of this process, in microseconds. */
static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int open_connection(const struct endpoint_address *to, int type)
{
	struct timeval limit = {.tv_sec = 2};
	int one = 1;
	int fd = socket(to->family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&to->storage, to->length) < 0)
		fail("connect");
	return fd;
}

static bool round_trip(int fd, uint8_t *buffer, size_t size)
{
	return send(fd, buffer, size, MSG_NOSIGNAL) == (ssize_t)size &&
	       recv(fd, buffer, size, MSG_WAITALL) == (ssize_t)size;
}

/* The server closes first: its side keeps TIME_WAIT and the client's ports do not run out. */
static bool round_trip_and_end(int fd, uint8_t *buffer, size_t size)
{
	return round_trip(fd, buffer, size) && recv(fd, buffer, size, 0) == 0;
}

static void print_latency(struct samples *s, double elapsed_us, double cpu)
{
	qsort(s->us, s->count, sizeof(*s->us), by_value);
	printf("{\"ops\":%zu,\"opsPerSecond\":%.0f,\"minUs\":%.2f,\"p10Us\":%.2f,\"p50Us\":%.2f,"
	       "\"p99Us\":%.2f,\"cpuUsPerOp\":%.3f}\n",
	       s->count, (double)s->count / elapsed_us * 1e6, percentile(s, 0), percentile(s, 0.1), percentile(s, 0.5),
	       percentile(s, 0.99), cpu / (double)s->count);
}

static int measure_latency(const struct benchmark *b, const struct endpoint_address *to, const struct options *options)
{
	struct samples samples = {0};
	uint8_t buffer[DATAGRAM_MAX] = {0};
	int fd = b->keeps_connection ? open_connection(to, b->type) : -1;
	double cpu = cpu_us(), start = now_ms(), last = start, end = start + options->seconds * 1e3;

	while (last < end) {
		double now;

		if (!b->keeps_connection)
			fd = open_connection(to, b->type);
		if (!b->once(fd, buffer, options->size))
			fail(b->name);
		if (!b->keeps_connection)
			close(fd);
		now = now_ms();
		add_sample(&samples, (now - last) * 1e3);
		last = now;
	}
	print_latency(&samples, (last - start) * 1e3, cpu_us() - cpu);
	return 0;
}

static int measure_stream(const struct endpoint_address *to, const struct options *options)
{
	static uint8_t buffer[131072];
	int fd = open_connection(to, SOCK_STREAM);
	double cpu = cpu_us(), start = now_ms(), now = start, end = start + options->seconds * 1e3;
	double bytes = 0;

	while (now < end) {
		ssize_t n = send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL);

		if (n <= 0)
			fail("stream");
		bytes += (double)n;
		now = now_ms();
	}
	printf("{\"bytes\":%.0f,\"bitsPerSecond\":%.0f,\"cpuUsPerMegabyte\":%.3f}\n", bytes,
	       bytes * 8 / (now - start) * 1e3, (cpu_us() - cpu) / (bytes / 1e6));
	return 0;
}

int bench(const char *mode, const char *address, int port, const struct options *options)
{
	static const struct benchmark benchmarks[] = {
	    {"rr", SERVICE_ECHO, SOCK_STREAM, true, round_trip},
	    {"crr", SERVICE_ONCE, SOCK_STREAM, false, round_trip_and_end},
	    {"udp-rr", SERVICE_ECHO, SOCK_DGRAM, true, round_trip},
	};
	struct options defaulted = *options;

	if (defaulted.seconds <= 0)
		defaulted.seconds = 1;
	if (defaulted.size == DATAGRAM_MAX)
		defaulted.size = 1;
	if (strcmp(mode, "stream") == 0) {
		struct endpoint_address to = parse_address(address, port + SERVICE_SINK);

		return measure_stream(&to, &defaulted);
	}
	for (size_t i = 0; i < sizeof(benchmarks) / sizeof(*benchmarks); i++) {
		struct endpoint_address to;

		if (strcmp(mode, benchmarks[i].name) != 0)
			continue;
		to = parse_address(address, port + benchmarks[i].service);
		return measure_latency(&benchmarks[i], &to, &defaulted);
	}
	fprintf(stderr, "cw-probe: no bench %s; there are rr, crr, udp-rr and stream\n", mode);
	return 2;
}
