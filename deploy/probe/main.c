// SPDX-License-Identifier: Apache-2.0
/* Arguments of cw-probe; each mode is a file of its own. */
#include "probe.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "cw-probe serve PORT [--blocking]            echo (TCP, UDP) on PORT, sink on PORT+1,\n"
    "                                            echo once and close on PORT+2,\n"
    "                                            tell who answers, and to whom, on PORT+3\n"
    "cw-probe check tcp|udp ADDRESS PORT BYTES   send BYTES to an echo, verify what comes back\n"
    "cw-probe check icmp ADDRESS BYTES           the same with echo requests\n"
    "cw-probe check who ADDRESS PORT TIMES       who answers at a PORT+3\n"
    "cw-probe stream ADDRESS PORT                a long connection; reports gaps and resets\n"
    "cw-probe hold ADDRESS PORT COUNT            keep so many connections to a PORT+2 that was\n"
    "                                            served with --blocking, until standard input ends\n"
    "cw-probe bench rr|crr|udp-rr|stream ADDRESS PORT\n"
    "cw-probe each                               run each line of standard input as these arguments\n"
    "cw-probe spawn …                            time of programs; see spawn.c\n"
    "\n"
    "--timeout MS (5000)  --source ADDRESS  --interval MS (10)  --seconds S  --size BYTES\n"
    "--failures N (0): hold gives up after more than so many\n";

static int usage_error(void)
{
	fputs(usage, stderr);
	return 2;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
	    {"timeout", required_argument, NULL, 't'},  {"source", required_argument, NULL, 's'},
	    {"interval", required_argument, NULL, 'i'}, {"seconds", required_argument, NULL, 'n'},
	    {"size", required_argument, NULL, 'z'},     {"failures", required_argument, NULL, 'f'},
	    {"blocking", no_argument, NULL, 'b'},       {0},
	};
	int c;

	*o = (struct options){.timeout_ms = 5000, .interval_ms = 10, .size = DATAGRAM_MAX};
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 't')
			o->timeout_ms = atof(optarg);
		else if (c == 's')
			o->source = optarg;
		else if (c == 'i')
			o->interval_ms = atof(optarg);
		else if (c == 'n')
			o->seconds = atof(optarg);
		else if (c == 'z')
			o->size = strtoul(optarg, NULL, 10);
		else if (c == 'f')
			o->failures = strtoul(optarg, NULL, 10);
		else if (c == 'b')
			o->blocking = true;
		else
			return -1;
	}
	return o->size >= 1 && o->size <= DATAGRAM_MAX ? optind : -1;
}

static int check(int argc, char **argv, const struct options *options)
{
	bool icmp = argc > 0 && strcmp(argv[0], "icmp") == 0;
	struct endpoint_address to;
	size_t bytes;

	if (argc != (icmp ? 3 : 4))
		return usage_error();
	to = parse_address(argv[1], icmp ? 0 : atoi(argv[2]));
	bytes = strtoul(argv[argc - 1], NULL, 10);
	if (icmp)
		return check_icmp(&to, bytes, options);
	if (strcmp(argv[0], "tcp") == 0)
		return check_tcp(&to, bytes, options);
	if (strcmp(argv[0], "udp") == 0)
		return check_udp(&to, bytes, options);
	if (strcmp(argv[0], "who") == 0)
		return check_who(&to, bytes, options);
	return usage_error();
}

static int run(int argc, char **argv)
{
	struct options options;
	int first, count;
	char **rest;

	first = parse_options(argc, argv, &options);
	count = argc - first;
	rest = argv + first;
	if (first < 0 || count < 2)
		return usage_error();
	if (strcmp(rest[0], "serve") == 0)
		return serve(atoi(rest[1]), &options);
	if (strcmp(rest[0], "check") == 0)
		return check(count - 1, rest + 1, &options);
	if (strcmp(rest[0], "stream") == 0 && count == 3) {
		struct endpoint_address to = parse_address(rest[1], atoi(rest[2]));

		return stream(&to, &options);
	}
	if (strcmp(rest[0], "hold") == 0 && count == 4) {
		struct endpoint_address to = parse_address(rest[1], atoi(rest[2]) + SERVICE_ONCE);

		return hold(&to, strtoul(rest[3], NULL, 10), &options);
	}
	if (strcmp(rest[0], "bench") == 0 && count == 4)
		return bench(rest[1], rest[2], atoi(rest[3]), &options);
	return usage_error();
}

#define LINE_MAX_BYTES 512
#define LINE_MAX_WORDS 16

/* Splits a line into words behind the program's name. */
static int split(char *line, char **argv)
{
	int argc = 0;

	argv[argc++] = "cw-probe";
	for (char *word = strtok(line, " \n"); word && argc < LINE_MAX_WORDS; word = strtok(NULL, " \n"))
		argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

/* Each line in a child of its own, so that nothing of one is left to the next. One line comes back for each. */
static int each(void)
{
	char line[LINE_MAX_BYTES], *argv[LINE_MAX_WORDS + 1];

	while (fgets(line, sizeof(line), stdin)) {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			int result = run(split(line, argv), argv);

			fflush(stdout);
			_exit(result);
		}
		if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
			puts("{\"ok\":false,\"ms\":0,\"error\":\"the probe did not run\"}");
			fflush(stdout);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	/* Its arguments are other programs' arguments. */
	if (argc > 1 && strcmp(argv[1], "spawn") == 0)
		return spawn(argc - 2, argv + 2);
	return argc == 2 && strcmp(argv[1], "each") == 0 ? each() : run(argc, argv);
}
