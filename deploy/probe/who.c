// SPDX-License-Identifier: Apache-2.0
/* `check who`: connects again and again to the port that tells who answers, and says who did, and as whom it saw us. */
#include "probe.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWERS 64

struct answers {
	char text[ANSWERS][INET6_ADDRSTRLEN];
	size_t count;
};

static void remember(struct answers *all, const char *text)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->text[i], text) == 0)
			return;
	if (all->count < ANSWERS)
		snprintf(all->text[all->count++], INET6_ADDRSTRLEN, "%s", text);
}

/* What the other side says until it closes; false with errno set when it says nothing. */
static bool hear(int fd, double deadline_ms, char *out)
{
	size_t length = 0;
	ssize_t n = -1;

	while (n != 0) {
		if (!wait_for(fd, POLLIN, deadline_ms)) {
			errno = ETIMEDOUT;
			return false;
		}
		n = recv(fd, out + length, WHO_LENGTH - 1 - length, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		length += n > 0 ? (size_t)n : 0;
	}
	out[length] = 0;
	errno = ECONNRESET;
	return length > 0;
}

static void print_list(const char *name, const struct answers *all)
{
	printf(",\"%s\":[", name);
	for (size_t i = 0; i < all->count; i++)
		printf("%s\"%s\"", i ? "," : "", all->text[i]);
	putchar(']');
}

int check_who(const struct endpoint_address *to, size_t times, const struct options *options)
{
	static struct answers who, clients;
	struct attempt attempt = start_attempt(options);
	char line[WHO_LENGTH];

	for (size_t i = 0; i < times; i++) {
		int fd = connect_to(to, SOCK_STREAM, options, &attempt);
		char *client;

		if (fd < 0)
			return report_errno(&attempt, "connect");
		if (!hear(fd, attempt.deadline_ms, line))
			return report_errno(&attempt, "answer");
		close(fd);
		client = strchr(line, ' ');
		if (client) {
			*client++ = 0;
			remember(&clients, client);
		}
		remember(&who, line);
	}
	printf("{\"ok\":true,\"ms\":%.3f", now_ms() - attempt.started_ms);
	print_list("answers", &who);
	print_list("clients", &clients);
	puts("}");
	return 0;
}
