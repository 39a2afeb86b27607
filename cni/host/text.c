/* SPDX-License-Identifier: Apache-2.0 */
/* Text at the border: UTF-8 and JSON are checked here because MuJS takes broken forms of both. */
#include "host.h"
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 32 };

/* Length of the UTF-8 sequence at `at` (RFC 3629 section 4), 0 when it is none. NUL counts as none.
 */
static size_t sequence(const unsigned char *at, size_t left)
{
	unsigned char first = at[0], low = 0x80, high = 0xbf;
	size_t length;

	if (first < 0x80)
		return first != 0;
	if (first >= 0xc2 && first <= 0xdf)
		length = 2;
	else if (first >= 0xe0 && first <= 0xef)
		length = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		length = 4;
	else
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	if (first == 0xed)
		high = 0x9f;
	if (first == 0xf0)
		low = 0x90;
	if (first == 0xf4)
		high = 0x8f;
	if (left < length || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool text_valid(const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;

	while (length > 0) {
		size_t step = sequence(at, length);

		if (step == 0)
			return false;
		at += step;
		length -= step;
	}
	return true;
}

/* The code unit of a surrogate as MuJS writes it (three bytes, ED A0..BF xx), 0 when there is none.
 */
static unsigned surrogate(const unsigned char *at)
{
	if (at[0] != 0xed || (at[1] & 0xe0) != 0xa0 || (at[2] & 0xc0) != 0x80)
		return 0;
	return 0xd000u | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
}

char *text_export(const char *string)
{
	const unsigned char *from = (const unsigned char *)string;
	char *copy = malloc(strlen(string) + 1);
	char *to = copy;

	if (!copy)
		return NULL;
	while (*from) {
		unsigned high = surrogate(from);
		unsigned low = high ? surrogate(from + 3) : 0;

		if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00) {
			unsigned point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);

			*to++ = (char)(0xf0 | point >> 18);
			*to++ = (char)(0x80 | (point >> 12 & 0x3f));
			*to++ = (char)(0x80 | (point >> 6 & 0x3f));
			*to++ = (char)(0x80 | (point & 0x3f));
			from += 6;
		} else if (high) {
			memcpy(to, "\xef\xbf\xbd", 3); /* a lone half becomes U+FFFD */
			to += 3;
			from += 3;
		} else if (from[0] == 0xc0 && from[1] == 0x80) {
			*to++ = '?'; /* NUL cannot stand in what takes C strings */
			from += 2;
		} else {
			*to++ = (char)*from++;
		}
	}
	*to = 0;
	return copy;
}

struct scan {
	const char *at;
	const char *problem;
};

static bool fail(struct scan *scan, const char *problem)
{
	if (!scan->problem)
		scan->problem = problem;
	return false;
}

static void skip_space(struct scan *scan)
{
	scan->at += strspn(scan->at, " \t\r\n");
}

static bool scan_string(struct scan *scan)
{
	if (*scan->at != '"')
		return fail(scan, "expected a string");
	for (scan->at++;; scan->at++) {
		unsigned char c = (unsigned char)*scan->at;

		if (c == '"')
			break;
		if (c < 0x20)
			return fail(scan, c ? "control character in a string" : "the text ends inside a string");
		if (c != '\\')
			continue;
		c = (unsigned char)*++scan->at;
		if (c == 'u' && strspn(scan->at + 1, "0123456789abcdefABCDEF") >= 4)
			scan->at += 4;
		else if (c == 0 || !strchr("\"\\/bfnrt", c))
			return fail(scan, "unknown escape in a string");
	}
	scan->at++;
	return true;
}

static bool scan_digits(struct scan *scan)
{
	size_t count = strspn(scan->at, "0123456789");

	scan->at += count;
	return count > 0 || fail(scan, "expected a digit");
}

static bool scan_number(struct scan *scan)
{
	if (*scan->at == '-')
		scan->at++;
	if (*scan->at == '0')
		scan->at++;
	else if (!scan_digits(scan))
		return false;
	if (*scan->at == '.') {
		scan->at++;
		if (!scan_digits(scan))
			return false;
	}
	if (*scan->at == 'e' || *scan->at == 'E') {
		scan->at++;
		if (*scan->at == '+' || *scan->at == '-')
			scan->at++;
		if (!scan_digits(scan))
			return false;
	}
	return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
	if (strncmp(scan->at, word, strlen(word)) != 0)
		return fail(scan, "unknown word");
	scan->at += strlen(word);
	return true;
}

static bool scan_value(struct scan *scan, int depth);

/* Members of an object or elements of an array, from behind the opening bracket to behind the
 * closing one. */
static bool scan_members(struct scan *scan, int depth, char close)
{
	skip_space(scan);
	if (*scan->at == close) {
		scan->at++;
		return true;
	}
	for (;;) {
		if (close == '}') {
			skip_space(scan);
			if (!scan_string(scan))
				return false;
			skip_space(scan);
			if (*scan->at != ':')
				return fail(scan, "expected a colon");
			scan->at++;
		}
		if (!scan_value(scan, depth))
			return false;
		if (*scan->at == close)
			break;
		if (*scan->at != ',')
			return fail(scan,
				    *scan->at ? "expected a comma or a closing bracket" : "the text ends too early");
		scan->at++;
	}
	scan->at++;
	return true;
}

static bool scan_value(struct scan *scan, int depth)
{
	bool good;

	skip_space(scan);
	if (depth >= JSON_DEPTH)
		return fail(scan, "nested deeper than 32 levels");
	switch (*scan->at) {
	case '{':
		scan->at++;
		good = scan_members(scan, depth + 1, '}');
		break;
	case '[':
		scan->at++;
		good = scan_members(scan, depth + 1, ']');
		break;
	case '"':
		good = scan_string(scan);
		break;
	case 't':
		good = scan_word(scan, "true");
		break;
	case 'f':
		good = scan_word(scan, "false");
		break;
	case 'n':
		good = scan_word(scan, "null");
		break;
	case 0:
		good = fail(scan, "the text ends too early");
		break;
	default:
		good = strchr("-0123456789", *scan->at) ? scan_number(scan) : fail(scan, "expected a value");
	}
	if (good)
		skip_space(scan);
	return good;
}

const char *json_problem(const char *text, size_t *offset)
{
	struct scan scan = {.at = text};

	if (scan_value(&scan, 0) && *scan.at != 0)
		fail(&scan, "more text after the value");
	*offset = (size_t)(scan.at - text);
	return scan.problem;
}
