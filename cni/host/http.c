/* SPDX-License-Identifier: Apache-2.0 */
/* As much of HTTP/1.1 (RFC 9112) as one answer on a local socket needs. Works on any bytes without
 * reading beyond them. */
#include "host.h"
#include <string.h>
#include <strings.h>

/* The line at `at` without its CRLF; moves `at` behind it. NULL when no whole line is there. */
static const char *take_line(const char **at, const char *end, size_t *length)
{
	const char *line = *at;
	const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

	if (!stop)
		return NULL;
	*length = (size_t)(stop - line);
	*at = stop + 2;
	return line;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* An unsigned number of at most eight digits in the given base; -1 when there is none. */
static long take_number(const char *text, size_t length, int base, size_t *used)
{
	long value = 0;
	size_t i;

	for (i = 0; i < length && i < 8 && digit_value(text[i]) < base; i++)
		value = value * base + digit_value(text[i]);
	*used = i;
	return i > 0 ? value : -1;
}

static bool is_field(const char *line, size_t length, const char *name, const char **value, size_t *value_length)
{
	size_t n = strlen(name);

	if (length <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	for (n++; n < length && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	*value = line + n;
	*value_length = length - n;
	return true;
}

/* Walks the chunks; with `join` also moves them together. Leaves the joined length in `length`. */
static enum http_state walk_chunks(char *body, const char *end, bool join, size_t *length)
{
	const char *at = body;
	size_t joined = 0;

	for (;;) {
		size_t line_length, used;
		const char *line = take_line(&at, end, &line_length);
		long size;

		if (!line)
			return HTTP_PARTIAL;
		size = take_number(line, line_length, 16, &used);
		if (size < 0 || (used < line_length && line[used] != ';' && line[used] != ' '))
			return HTTP_BAD;
		if (size == 0)
			break;
		if (end - at < size + 2)
			return HTTP_PARTIAL;
		if (at[size] != '\r' || at[size + 1] != '\n')
			return HTTP_BAD;
		if (join)
			memmove(body + joined, at, (size_t)size);
		joined += (size_t)size;
		at += size + 2;
	}
	*length = joined;
	return HTTP_DONE;
}

struct head {
	int status;
	long length; /* -1: not stated */
	bool chunked;
};

static bool parse_head(const char *at, const char *end, struct head *head)
{
	size_t length, used;
	const char *line = take_line(&at, end, &length);

	if (!line || length < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return false;
	head->status = (int)take_number(line + 9, 3, 10, &used);
	if (used != 3 || head->status < 200)
		return false;
	head->length = -1;
	head->chunked = false;
	while ((line = take_line(&at, end, &length)) && length > 0) {
		const char *value;
		size_t value_length;

		if (is_field(line, length, "Content-Length", &value, &value_length)) {
			head->length = take_number(value, value_length, 10, &used);
			if (head->length < 0 || used != value_length)
				return false;
		}
		if (is_field(line, length, "Transfer-Encoding", &value, &value_length))
			head->chunked = value_length == 7 && strncasecmp(value, "chunked", 7) == 0;
	}
	return true;
}

enum http_state http_parse(char *bytes, size_t length, bool ended, struct http_answer *answer)
{
	const char *end = bytes + length;
	char *blank = memmem(bytes, length, "\r\n\r\n", 4);
	enum http_state state;
	struct head head;

	if (!blank)
		return HTTP_PARTIAL;
	answer->body = blank + 4;
	if (!parse_head(bytes, answer->body, &head))
		return HTTP_BAD;
	answer->status = head.status;
	answer->length = (size_t)(end - answer->body);
	if (head.chunked) {
		state = walk_chunks(answer->body, end, false, &answer->length);
		return state == HTTP_DONE ? walk_chunks(answer->body, end, true, &answer->length) : state;
	}
	if (head.length < 0)
		return ended ? HTTP_DONE : HTTP_PARTIAL;
	if (answer->length < (size_t)head.length)
		return HTTP_PARTIAL;
	answer->length = (size_t)head.length;
	return HTTP_DONE;
}
