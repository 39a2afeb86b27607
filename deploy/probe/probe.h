/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cw-probe: one small static program that stands in for the workload of a pod and for whoever talks
 * to it. It serves echoes, checks that bytes come back unchanged, watches a long connection for
 * gaps, and measures round trips. Every client mode prints one JSON object a line on standard
 * output and exits 0 only if what it checked holds.
 */
#pragma once
#include <netinet/in.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Ports served; the last one opens last, so that whoever reaches it finds all. Counted from the one given: what arrives
 * is echoed, dropped, or echoed once before the server closes; who connects to the fourth is told the address that it
 * has come to, and after a space the one it comes from. */
enum service {
	SERVICE_ECHO = 0, /* TCP and UDP */
	SERVICE_SINK = 1,
	SERVICE_ONCE = 2,
	SERVICE_WHO = 3,
};

/* A connection to the third whose byte is this one is not closed by a server with --blocking, as long as that runs. */
#define KEEP 'k'

/* What the fourth says, with the byte behind it. */
#define WHO_LENGTH (2 * INET6_ADDRSTRLEN)

/* The largest payload of a datagram that both families carry: 65535 less the IPv4 and UDP (or ICMP)
 * headers. */
#define DATAGRAM_MAX 65507

/* Options common to all modes, with their defaults set by parse_options. */
struct options {
	const char *source; /* local address to bind to, or NULL */
	double timeout_ms;  /* for the whole check */
	double interval_ms; /* between two messages of a stream */
	double seconds;     /* duration; 0: until a signal */
	size_t size;        /* bytes of a message */
	size_t failures;    /* attempts that may fail before no more are made */
	bool blocking;      /* serve with a process a connection: one system call less per message */
};

struct endpoint_address {
	struct sockaddr_storage storage;
	socklen_t length;
	int family;
};

/* One check or stream from its start to its result. */
struct attempt {
	double started_ms;
	double deadline_ms;
	int port; /* of our own, 0 for none: flow records are told apart by it */
};

int serve(int port, const struct options *options);
int check_tcp(const struct endpoint_address *to, size_t bytes, const struct options *options);
int check_udp(const struct endpoint_address *to, size_t bytes, const struct options *options);
int check_icmp(const struct endpoint_address *to, size_t bytes, const struct options *options);
int check_who(const struct endpoint_address *to, size_t times, const struct options *options);
int stream(const struct endpoint_address *to, const struct options *options);
int hold(const struct endpoint_address *to, size_t count, const struct options *options);
int bench(const char *mode, const char *address, int port, const struct options *options);
/* Measures other programs; the arguments are those behind `spawn`. */
int spawn(int argc, char **argv);

/* Ends the program with a usage error (status 2) when the text is no address. */
struct endpoint_address parse_address(const char *text, int port);

/* Milliseconds of the monotonic clock. */
double now_ms(void);
/* Waits for `events` on one descriptor until a deadline in now_ms's time; 0 when it passed, else
 * poll's revents. */
int wait_for(int fd, int events, double deadline_ms);

struct attempt start_attempt(const struct options *options);
/* A socket connected (or, for datagrams, bound to a peer) before the deadline; -1 with errno set
 * otherwise. */
int connect_to(const struct endpoint_address *to, int type, const struct options *options, struct attempt *attempt);
/* Binds to options->source if there is one; -1 with errno set on failure. */
int bind_source(int fd, int family, const struct options *options);

/*
 * Room for several datagrams of the largest size: each takes twice its length in fragments, and
 * what was read is given back to the socket's account only later (udp_rmem_release).
 */
void enlarge_receive_buffer(int fd);

/* Byte number `index` of the pattern belonging to `seed`: a wrong, late or foreign answer does not
 * fit it. */
uint8_t pattern_byte(uint64_t seed, size_t index);
void fill_pattern(uint64_t seed, size_t start, uint8_t *out, size_t length);
/* Index of the first byte that differs from the pattern, or `length` when all fit. */
size_t match_pattern(uint64_t seed, size_t start, const uint8_t *bytes, size_t length);
uint64_t new_seed(void);

/* Prints {"ok":…,"ms":…,"port":…,"error":…} and returns the exit status. `error` NULL means
 * success. */
int report(const struct attempt *attempt, const char *error);
/* The same, with "step: text of errno". */
int report_errno(const struct attempt *attempt, const char *step);
