// SPDX-License-Identifier: Apache-2.0
/*
 * `spawn`: runs programs and measures each run from exec to exit. A script or Node in its place
 * would spend more on starting a program than the program takes.
 *
 *   cw-probe spawn [--parallel] [--first N] RUNS STAGE [+ STAGE]…
 *
 * A STAGE is `[NAME=VALUE]… <INPUT COMMAND [ARGUMENT]…`: the whole environment, the file that is
 * standard input, and what to run. A run goes through its stages one after the other and ends with
 * the first that fails. `{}` in a word is replaced by the run's number, counted from N (0). Runs
 * come one after another, or with --parallel all at once.
 */
#define _GNU_SOURCE /* memfd_create, wait4 */
#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WORDS_MAX = 64,
	WORD_MAX = 4096,
};

struct stage {
	char **words;
	int count;
};

struct script {
	struct stage stages[8];
	int count;
};

/* In memory that all runners share. */
struct outcome {
	double ms;
	double cpu_ms;
	long max_rss_kib;
	int failed_stage; /* counted from 1; 0 for none */
	int status;
};

/* One stage with its words as they are for one run. */
struct command {
	char *environment[WORDS_MAX + 1];
	char *arguments[WORDS_MAX + 1];
	char *input;
};

static _Noreturn void fail(const char *attempt)
{
	fprintf(stderr, "cw-probe: spawn: %s: %s\n", attempt, strerror(errno));
	exit(2);
}

static char *expand(const char *word, int run)
{
	const char *at = strstr(word, "{}");
	char *out = malloc(WORD_MAX);

	if (!out)
		fail("memory");
	if (at)
		snprintf(out, WORD_MAX, "%.*s%d%s", (int)(at - word), word, run, at + 2);
	else
		snprintf(out, WORD_MAX, "%s", word);
	return out;
}

static void prepare(struct command *command, const struct stage *stage, int run)
{
	int environment = 0, arguments = 0;

	memset(command, 0, sizeof(*command));
	for (int i = 0; i < stage->count && i < WORDS_MAX; i++) {
		char *word = expand(stage->words[i], run);

		if (!command->input && word[0] == '<')
			command->input = word + 1;
		else if (!command->input)
			command->environment[environment++] = word;
		else
			command->arguments[arguments++] = word;
	}
	if (!command->input || !arguments) {
		errno = EINVAL;
		fail("a stage needs <INPUT and a command");
	}
}

static void release(struct command *command)
{
	for (int i = 0; i < WORDS_MAX; i++) {
		free(command->environment[i]);
		free(command->arguments[i]);
	}
	free(command->input - 1);
}

static pid_t start(const struct command *command, int output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, command->input, O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	error = posix_spawn(&pid, command->arguments[0], &actions, NULL, command->arguments, command->environment);
	posix_spawn_file_actions_destroy(&actions);
	errno = error;
	if (error)
		fail(command->arguments[0]);
	return pid;
}

static void complain(const struct command *command, int status, int output)
{
	char text[2048];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	fprintf(stderr, "cw-probe: spawn: %s: status 0x%x: %s\n", command->arguments[0], status, text);
}

/* Runs one stage; true when it ended with status 0. Its time is added to the outcome. */
static bool run_stage(const struct stage *stage, int run, int output, struct outcome *outcome)
{
	struct command command;
	struct rusage usage;
	double started;
	int status;
	pid_t pid;

	prepare(&command, stage, run);
	if (ftruncate(output, 0) < 0 || lseek(output, 0, SEEK_SET) < 0)
		fail("output");
	started = now_ms();
	pid = start(&command, output);
	if (wait4(pid, &status, 0, &usage) != pid)
		fail("wait");
	outcome->ms += now_ms() - started;
	outcome->cpu_ms += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
			   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
	if (usage.ru_maxrss > outcome->max_rss_kib)
		outcome->max_rss_kib = usage.ru_maxrss;
	outcome->status = status;
	if (status)
		complain(&command, status, output);
	release(&command);
	return status == 0;
}

static void run_script(const struct script *script, int run, struct outcome *outcome)
{
	int output = memfd_create("output", MFD_CLOEXEC);

	if (output < 0)
		fail("memfd_create");
	for (int i = 0; i < script->count && !outcome->failed_stage; i++)
		if (!run_stage(&script->stages[i], run, output, outcome))
			outcome->failed_stage = i + 1;
	close(output);
}

static void run_at_once(const struct script *script, int first, int runs, struct outcome *outcomes)
{
	for (int i = 0; i < runs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			run_script(script, first + i, &outcomes[i]);
			_exit(0);
		}
	}
	for (int i = 0; i < runs; i++)
		if (wait(NULL) < 0)
			fail("wait");
}

/* {"runs":…,"failed":…,"totalMs":…,"maxRssKib":…,"ms":[…],"cpuMs":[…]}; the arrays are in the order
 * of the runs. */
static int print(const struct outcome *outcomes, int runs, double total_ms)
{
	long max_rss_kib = 0;
	int failed = 0;

	for (int i = 0; i < runs; i++) {
		failed += outcomes[i].failed_stage || outcomes[i].ms == 0;
		if (outcomes[i].max_rss_kib > max_rss_kib)
			max_rss_kib = outcomes[i].max_rss_kib;
	}
	printf("{\"runs\":%d,\"failed\":%d,\"totalMs\":%.3f,\"maxRssKib\":%ld,\"ms\":[", runs, failed, total_ms,
	       max_rss_kib);
	for (int i = 0; i < runs; i++)
		printf("%s%.3f", i ? "," : "", outcomes[i].ms);
	printf("],\"cpuMs\":[");
	for (int i = 0; i < runs; i++)
		printf("%s%.3f", i ? "," : "", outcomes[i].cpu_ms);
	puts("]}");
	return failed ? 1 : 0;
}

static struct script split(char **words, int count)
{
	struct script script = {.count = 1, .stages[0].words = words};

	for (int i = 0; i < count; i++) {
		struct stage *stage = &script.stages[script.count - 1];

		if (strcmp(words[i], "+") != 0) {
			stage->count++;
		} else if (script.count < (int)(sizeof(script.stages) / sizeof(*script.stages))) {
			script.stages[script.count++].words = &words[i + 1];
		}
	}
	return script;
}

int spawn(int argc, char **argv)
{
	bool parallel = false;
	int first = 0, runs, i = 0;
	struct outcome *outcomes;
	struct script script;
	double started;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--parallel") == 0)
			parallel = true;
		else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
			first = atoi(argv[++i]);
	}
	runs = i < argc ? atoi(argv[i]) : 0;
	if (runs < 1 || argc - i < 3) {
		fputs("cw-probe spawn [--parallel] [--first N] RUNS STAGE [+ STAGE]\n", stderr);
		return 2;
	}
	outcomes =
	    mmap(NULL, (size_t)runs * sizeof(*outcomes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED)
		fail("memory");
	script = split(argv + i + 1, argc - i - 1);
	started = now_ms();
	if (parallel)
		run_at_once(&script, first, runs, outcomes);
	for (int run = 0; run < runs && !parallel; run++)
		run_script(&script, first + run, &outcomes[run]);
	return print(outcomes, runs, now_ms() - started);
}
