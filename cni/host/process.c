/* SPDX-License-Identifier: Apache-2.0 */
/* Environment, standard streams, clocks, identity of this process. */
#include "host.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void environment(js_State *J)
{
	const char *value = getenv(js_tostring(J, 1));

	if (!value)
		js_pushundefined(J);
	else if (!text_valid(value, strlen(value)))
		js_pushnull(J);
	else
		js_pushstring(J, value);
}

static void input(js_State *J)
{
	double limit = js_tonumber(J, 1);
	double deadline = monotonic_ms() + js_tonumber(J, 2);
	size_t length;
	char *bytes;
	int error = read_all(STDIN_FILENO, (size_t)limit, deadline, &bytes, &length);

	if (error)
		push_problem(J, error);
	else
		push_text(J, bytes, length);
	free(bytes);
}

static void output(js_State *J)
{
	int fd = js_toint32(J, 1);
	char *text = text_export(js_tostring(J, 2));
	int error = text ? write_all(fd, text, strlen(text)) : ENOMEM;

	free(text);
	push_error(J, error);
}

static void is_terminal(js_State *J)
{
	js_pushboolean(J, isatty(js_toint32(J, 1)));
}

static void check_json(js_State *J)
{
	size_t offset;
	const char *problem = json_problem(js_tostring(J, 1), &offset);

	if (!problem) {
		js_pushstring(J, "");
		return;
	}
	js_pushstring(J, problem);
	js_pushstring(J, " at byte ");
	js_concat(J);
	js_pushnumber(J, (double)offset);
	js_concat(J);
}

static void monotonic(js_State *J)
{
	js_pushnumber(J, monotonic_ms());
}

static void unix_time(js_State *J)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	js_pushnumber(J, (double)now.tv_sec * 1e6 + floor((double)now.tv_nsec / 1e3));
}

static void process_id(js_State *J)
{
	js_pushnumber(J, getpid());
}

static void sleep_ms(js_State *J)
{
	double ms = js_tonumber(J, 1);
	struct timespec left = {.tv_sec = (time_t)(ms / 1e3), .tv_nsec = (long)(fmod(ms, 1e3) * 1e6)};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	js_pushundefined(J);
}

static void leave(js_State *J)
{
	_exit(js_toint32(J, 1));
}

void add_process_functions(js_State *J)
{
	add_function(J, environment, "environment", 1);
	add_function(J, input, "input", 2);
	add_function(J, output, "output", 2);
	add_function(J, is_terminal, "isTerminal", 1);
	add_function(J, check_json, "checkJson", 1);
	add_function(J, monotonic, "monotonicMs", 0);
	add_function(J, unix_time, "unixTimeUs", 0);
	add_function(J, process_id, "processId", 0);
	add_function(J, sleep_ms, "sleep", 1);
	add_function(J, leave, "exit", 1);
}
