// SPDX-License-Identifier: Apache-2.0
/*
 * `hold`: opens connections one after another, each with a round trip of its own, and keeps them until standard input
 * ends. A server that serves with --blocking keeps its ends.
 */
#include "probe.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Every connection is a descriptor. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* False with errno set. */
static bool is_answered(int fd, double deadline_ms)
{
	uint8_t byte = KEEP;

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return false;
	errno = ETIMEDOUT;
	if (!wait_for(fd, POLLIN, deadline_ms))
		return false;
	errno = ECONNRESET;
	return recv(fd, &byte, 1, 0) == 1 && byte == KEEP;
}

/* False with errno set; what failed is closed, so that the next one goes from another port. */
static bool open_one(const struct endpoint_address *to, const struct options *options)
{
	struct attempt attempt = start_attempt(options);
	int fd = connect_to(to, SOCK_STREAM, options, &attempt), failure;

	if (fd < 0)
		return false;
	if (is_answered(fd, attempt.deadline_ms))
		return true;
	failure = errno;
	close(fd);
	errno = failure;
	return false;
}

int hold(const struct endpoint_address *to, size_t count, const struct options *options)
{
	size_t opened = 0, failed = 0;
	int failure = 0;
	char rest[64];

	raise_limit();
	while (opened < count && failed <= options->failures) {
		if (open_one(to, options)) {
			opened++;
		} else {
			failure = errno;
			failed++;
		}
	}
	printf("{\"opened\":%zu,\"failed\":%zu,\"error\":\"%s\"}\n", opened, failed, failure ? strerror(failure) : "");
	fflush(stdout);
	while (read(STDIN_FILENO, rest, sizeof(rest)) > 0)
		;
	return opened == count ? 0 : 1;
}
