// SPDX-License-Identifier: Apache-2.0
/*
 * `stream`: one long connection to an echo server. Sends a counter every interval and watches that
 * each comes back, in order. Prints {"connected":true} once the connection stands and, after the
 * duration or a signal, what it saw: messages sent and received, the longest wait between two
 * echoes, and whether the connection was reset.
 */
#include "probe.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct watch {
	int fd;
	uint64_t sent;
	uint64_t received;
	double last_echo;
	double longest_gap_ms;
	size_t partial; /* bytes of the counter that is arriving */
	uint8_t bytes[sizeof(uint64_t)];
	char error[160];
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static bool fail(struct watch *w, const char *attempt)
{
	snprintf(w->error, sizeof(w->error), "%s: %s", attempt, strerror(errno));
	return false;
}

/* A counter is eight bytes: the socket's buffer takes it whole or the path is stuck, which the gap
 * shows. */
static bool send_counter(struct watch *w)
{
	uint64_t counter = w->sent + 1;
	ssize_t n = send(w->fd, &counter, sizeof(counter), MSG_NOSIGNAL);

	if (n == sizeof(counter))
		w->sent = counter;
	else if (n >= 0 || errno != EAGAIN)
		return fail(w, "send");
	return true;
}

static bool take_counter(struct watch *w)
{
	double now = now_ms();
	uint64_t counter;

	memcpy(&counter, w->bytes, sizeof(counter));
	w->partial = 0;
	if (counter != w->received + 1) {
		errno = EBADMSG;
		return fail(w, "echo out of order");
	}
	w->received = counter;
	if (now - w->last_echo > w->longest_gap_ms)
		w->longest_gap_ms = now - w->last_echo;
	w->last_echo = now;
	return true;
}

static bool receive_counters(struct watch *w)
{
	for (;;) {
		ssize_t n = recv(w->fd, w->bytes + w->partial, sizeof(w->bytes) - w->partial, 0);

		if (n < 0)
			return errno == EAGAIN || fail(w, "receive");
		if (n == 0) {
			errno = ECONNRESET;
			return fail(w, "closed by the other side");
		}
		w->partial += (size_t)n;
		if (w->partial == sizeof(w->bytes) && !take_counter(w))
			return false;
	}
}

/* Until `end` (0: until a signal) messages leave; afterwards the echoes still under way are
 * awaited. */
static bool run(struct watch *w, const struct options *options, double end)
{
	double next = now_ms();

	while (!stopped && (end == 0 || now_ms() < end)) {
		if (now_ms() >= next) {
			if (!send_counter(w))
				return false;
			next += options->interval_ms;
		}
		if (wait_for(w->fd, POLLIN, next) && !receive_counters(w))
			return false;
	}
	end = now_ms() + options->timeout_ms;
	while (w->received < w->sent) {
		if (!wait_for(w->fd, POLLIN, end)) {
			errno = ETIMEDOUT;
			return fail(w, "echoes missing");
		}
		if (!receive_counters(w))
			return false;
	}
	return true;
}

int stream(const struct endpoint_address *to, const struct options *options)
{
	static struct watch w;
	struct sigaction action = {.sa_handler = on_signal};
	struct attempt attempt = start_attempt(options);
	bool ok;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	w.fd = connect_to(to, SOCK_STREAM, options, &attempt);
	if (w.fd < 0)
		return report_errno(&attempt, "connect");
	printf("{\"connected\":true,\"ms\":%.3f,\"port\":%d}\n", now_ms() - attempt.started_ms, attempt.port);
	fflush(stdout);
	w.last_echo = now_ms();
	ok = run(&w, options, options->seconds > 0 ? attempt.started_ms + options->seconds * 1e3 : 0);
	printf("{\"ok\":%s,\"ms\":%.3f,\"sent\":%llu,\"received\":%llu,\"longestGapMs\":%.3f", ok ? "true" : "false",
	       now_ms() - attempt.started_ms, (unsigned long long)w.sent, (unsigned long long)w.received,
	       w.longest_gap_ms);
	if (!ok)
		printf(",\"error\":\"%s\"", w.error);
	puts("}");
	return ok ? 0 : 1;
}
