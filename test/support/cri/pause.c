// SPDX-License-Identifier: Apache-2.0
/*
 * A process that only waits: as a sandbox's own container it keeps the pod's namespaces, as process 1 of a node it
 * keeps the node's. It takes in orphans, as process 1 must, and ends on SIGTERM and SIGINT, with it all that lives in
 * its process namespace (pid_namespaces(7)).
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

static void reap(int signal)
{
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	const struct sigaction ending = {.sa_handler = end};
	const struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

	if (sigaction(SIGTERM, &ending, NULL) || sigaction(SIGINT, &ending, NULL) || sigaction(SIGCHLD, &reaping, NULL))
		return 1;
	for (;;)
		pause();
}
