/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing and waiting with a deadline; the form in which primitives answer. */
#include "host.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int wait_for(int fd, short events, double deadline_ms)
{
	for (;;) {
		struct pollfd entry = {.fd = fd, .events = events};
		double left = ceil(deadline_ms - monotonic_ms());
		int ready;

		if (left <= 0)
			return ETIMEDOUT;
		ready = poll(&entry, 1, left > 1e9 ? 1000000000 : (int)left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return errno;
	}
}

/* Doubles the buffer once it is full; the last byte stays free for a NUL. */
static int make_room(char **bytes, size_t *capacity, size_t length)
{
	char *larger;

	if (length + 1 < *capacity)
		return 0;
	*capacity = *capacity ? *capacity * 2 : 16384;
	larger = realloc(*bytes, *capacity);
	if (!larger)
		return ENOMEM;
	*bytes = larger;
	return 0;
}

int read_all(int fd, size_t limit, double deadline_ms, char **bytes, size_t *length)
{
	size_t capacity = 0;
	int error;

	*bytes = NULL;
	*length = 0;
	for (;;) {
		ssize_t got;

		error = make_room(bytes, &capacity, *length);
		if (!error)
			error = wait_for(fd, POLLIN, deadline_ms);
		if (error)
			return error;
		got = read(fd, *bytes + *length, capacity - *length - 1);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		if (got == 0)
			break;
		if (got > 0)
			*length += (size_t)got;
		if (*length > limit)
			return EFBIG;
	}
	(*bytes)[*length] = 0;
	return 0;
}

int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);

		if (put < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, monotonic_ms() + 10e3) == 0)
			continue;
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		bytes += put;
		length -= (size_t)put;
	}
	return 0;
}

static const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "";

	return name ? name : "EIO";
}

void push_error(js_State *J, int error)
{
	js_pushstring(J, error_name(error));
}

void push_problem(js_State *J, int error)
{
	js_newobject(J);
	push_error(J, error);
	js_setproperty(J, -2, "problem");
}

void push_text(js_State *J, const char *bytes, size_t length)
{
	if (!text_valid(bytes, length)) {
		push_problem(J, EILSEQ);
		return;
	}
	js_newobject(J);
	js_pushlstring(J, bytes, (int)length);
	js_setproperty(J, -2, "text");
}

void add_function(js_State *J, js_CFunction function, const char *name, int arguments)
{
	js_newcfunction(J, function, name, arguments);
	js_setproperty(J, -2, name);
}
