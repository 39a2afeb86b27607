/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request and its answer over a unix socket, all of it before one deadline. */
#include "host.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { LARGEST_ANSWER = 4 << 20 };

/* A full backlog makes connect wait; SO_SNDTIMEO bounds that (socket(7)). */
static int open_socket(const char *path, double deadline_ms, int *fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	double left = deadline_ms - monotonic_ms();
	struct timeval limit = {.tv_sec = (time_t)(left / 1e3), .tv_usec = (suseconds_t)(left * 1e3) % 1000000};

	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	if (left < 1)
		return ETIMEDOUT;
	strcpy(address.sun_path, path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return errno;
	while (connect(*fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EINTR)
			return errno == EAGAIN ? ETIMEDOUT : errno;
	return 0;
}

static int send_all(int fd, const char *bytes, size_t length, double deadline_ms)
{
	while (length > 0) {
		ssize_t put = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		int error = put < 0 ? errno : 0;

		if (error == EAGAIN || error == EWOULDBLOCK)
			error = wait_for(fd, POLLOUT, deadline_ms);
		if (error && error != EINTR)
			return error;
		if (put > 0) {
			bytes += put;
			length -= (size_t)put;
		}
	}
	return 0;
}

static int send_request(int fd, const char *path, const char *body, double deadline_ms)
{
	char head[512];
	size_t length = strlen(body);
	int written = snprintf(head, sizeof(head),
			       "POST %s HTTP/1.1\r\nHost: causeway\r\nContent-Type: application/json\r\n"
			       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			       path, length);
	int error;

	if (written < 0 || (size_t)written >= sizeof(head))
		return ENAMETOOLONG;
	error = send_all(fd, head, (size_t)written, deadline_ms);
	return error ? error : send_all(fd, body, length, deadline_ms);
}

/* Reads until the answer is whole. The buffer is the caller's to free, also on errors. */
static int receive(int fd, double deadline_ms, char **bytes, struct http_answer *answer)
{
	size_t length = 0, capacity = 0;

	for (;;) {
		ssize_t got;
		int error;
		enum http_state state;

		if (length == capacity) {
			char *larger = realloc(*bytes, capacity ? capacity * 2 : 16384);

			if (!larger)
				return ENOMEM;
			*bytes = larger;
			capacity = capacity ? capacity * 2 : 16384;
		}
		error = wait_for(fd, POLLIN, deadline_ms);
		if (error)
			return error;
		got = recv(fd, *bytes + length, capacity - length, MSG_DONTWAIT);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		if (got < 0)
			continue;
		length += (size_t)got;
		state = http_parse(*bytes, length, got == 0, answer);
		if (state == HTTP_DONE)
			return 0;
		if (state == HTTP_BAD)
			return EPROTO;
		if (got == 0)
			return ECONNRESET;
		if (length > LARGEST_ANSWER)
			return EFBIG;
	}
}

static void push_failure(js_State *J, int error, const char *stage)
{
	push_problem(J, error);
	js_pushstring(J, stage);
	js_setproperty(J, -2, "stage");
}

/* Arguments: socket, path, body, time-out in ms. */
static void exchange(js_State *J)
{
	const char *socket_path = js_tostring(J, 1), *path = js_tostring(J, 2);
	char *body = text_export(js_tostring(J, 3));
	double deadline = monotonic_ms() + js_tonumber(J, 4);
	struct http_answer answer;
	const char *stage = "connect";
	char *bytes = NULL;
	int fd = -1;
	int error = body ? open_socket(socket_path, deadline, &fd) : ENOMEM;

	if (!error) {
		stage = "send";
		error = send_request(fd, path, body, deadline);
	}
	if (!error) {
		stage = "receive";
		error = receive(fd, deadline, &bytes, &answer);
	}
	if (fd >= 0)
		close(fd);
	free(body);
	if (error) {
		push_failure(J, error, stage);
	} else if (!text_valid(answer.body, answer.length)) {
		push_failure(J, EILSEQ, stage);
	} else {
		push_text(J, answer.body, answer.length);
		js_pushnumber(J, answer.status);
		js_setproperty(J, -2, "status");
	}
	free(bytes);
}

void add_exchange_function(js_State *J)
{
	add_function(J, exchange, "exchange", 4);
}
