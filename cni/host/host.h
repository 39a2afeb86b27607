/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host of the CNI program: what the TypeScript, run by MuJS, can do to the outside. Primitives
 * only; every decision is taken in TypeScript. host.ts states what each primitive promises.
 *
 * Errors reach TypeScript as POSIX names ("ECONNREFUSED"), success as the empty string.
 */
#pragma once
#include <mujs.h>
#include <stdbool.h>
#include <stddef.h>

/* text.c: bytes from outside are strict UTF-8 before they become strings; strings are made so
 * before they leave. */

/* True when the bytes are UTF-8 (RFC 3629) without NUL. */
bool text_valid(const char *bytes, size_t length);
/* A copy in plain UTF-8, owned by the caller: MuJS keeps surrogates and NUL in forms that are not.
 * NULL: no memory. */
char *text_export(const char *string);
/* First offence of a text against RFC 8259, or NULL; nesting is limited because MuJS parses on a
 * stack of 256 slots. */
const char *json_problem(const char *text, size_t *offset);

/* http.c */
struct http_answer {
	int status;
	char *body; /* inside the parsed buffer */
	size_t length;
};
enum http_state { HTTP_PARTIAL, HTTP_DONE, HTTP_BAD };
/* Looks at what has come so far; `ended`: nothing more will. When done, a chunked body has been
 * joined in place. */
enum http_state http_parse(char *bytes, size_t length, bool ended, struct http_answer *answer);

/* Reads until the end of file. Returns 0, or an errno: EFBIG over the limit, ETIMEDOUT after the
 * deadline. */
int read_all(int fd, size_t limit, double deadline_ms, char **bytes, size_t *length);
int write_all(int fd, const char *bytes, size_t length);
/* Waits for poll events until the deadline on the monotonic clock; 0 or an errno. */
int wait_for(int fd, short events, double deadline_ms);
double monotonic_ms(void);

/* heap.c: the interpreter that was made ready when the executable was built; NULL while it is being
 * built. */
js_State *heap_state(void);
js_State *heap_new_state(void);
/* Writes the section .image of the finished executable to standard output; 0 or an errno. */
int heap_save(js_State *J);

/* Answers of primitives: an errno's name, and single-member objects. */
void push_error(js_State *J, int error);
void push_problem(js_State *J, int error);
void push_text(js_State *J, const char *bytes, size_t length);

/* Sets the primitives of one file as members of the object on top of the stack. */
void add_function(js_State *J, js_CFunction function, const char *name, int arguments);
void add_process_functions(js_State *J);
void add_file_functions(js_State *J);
void add_exchange_function(js_State *J);
