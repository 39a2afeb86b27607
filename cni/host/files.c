/* SPDX-License-Identifier: Apache-2.0 */
/* What the delete queue needs of a file system. Paths are taken as they are; nothing here follows a
 * policy. */
#include "host.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_FILE = 65536 };

static void make_directory(js_State *J)
{
	push_error(J, mkdir(js_tostring(J, 1), 0700) < 0 ? errno : 0);
}

static void list(js_State *J)
{
	DIR *directory = opendir(js_tostring(J, 1));
	struct dirent *entry;
	int count = 0;

	if (!directory) {
		push_problem(J, errno);
		return;
	}
	js_newobject(J);
	js_newarray(J);
	while ((entry = readdir(directory))) {
		if (!text_valid(entry->d_name, strlen(entry->d_name)))
			continue;
		js_pushstring(J, entry->d_name);
		js_setindex(J, -2, count++);
	}
	closedir(directory);
	js_setproperty(J, -2, "names");
}

static void read_file(js_State *J)
{
	int fd = open(js_tostring(J, 1), O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length;
	char *bytes;
	int error;

	if (fd < 0) {
		push_problem(J, errno);
		return;
	}
	error = read_all(fd, LARGEST_FILE, monotonic_ms() + 1e3, &bytes, &length);
	close(fd);
	if (error)
		push_problem(J, error);
	else
		push_text(J, bytes, length);
	free(bytes);
}

static void inode(js_State *J)
{
	struct stat status;

	if (stat(js_tostring(J, 1), &status) < 0)
		js_pushundefined(J);
	else
		js_pushnumber(J, (double)status.st_ino);
}

static void remove_file(js_State *J)
{
	push_error(J, unlink(js_tostring(J, 1)) < 0 ? errno : 0);
}

/* The lock lasts as long as the process: the descriptor is never closed. */
static void lock(js_State *J)
{
	int fd = open(js_tostring(J, 1), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	double deadline = monotonic_ms() + js_tonumber(J, 2);
	struct timespec pause = {.tv_nsec = 1000000};

	if (fd < 0) {
		push_error(J, errno);
		return;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			push_error(J, errno);
			return;
		}
		if (monotonic_ms() > deadline) {
			push_error(J, ETIMEDOUT);
			return;
		}
		nanosleep(&pause, NULL);
	}
	push_error(J, 0);
}

static int write_synced(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error;

	if (fd < 0)
		return errno;
	error = write_all(fd, text, strlen(text));
	if (!error && fsync(fd) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	return error;
}

/* Arguments: directory, temporary name, name, text. */
static void write_durably(js_State *J)
{
	int directory = open(js_tostring(J, 1), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *temporary = js_tostring(J, 2), *name = js_tostring(J, 3);
	char *text = text_export(js_tostring(J, 4));
	int error = directory < 0 ? errno : 0;

	if (!error && !text)
		error = ENOMEM;
	if (!error)
		error = write_synced(directory, temporary, text);
	if (!error && renameat(directory, temporary, directory, name) < 0)
		error = errno;
	if (!error && fsync(directory) < 0)
		error = errno;
	if (error && directory >= 0)
		unlinkat(directory, temporary, 0);
	if (directory >= 0)
		close(directory);
	free(text);
	push_error(J, error);
}

void add_file_functions(js_State *J)
{
	add_function(J, make_directory, "makeDirectory", 1);
	add_function(J, list, "list", 1);
	add_function(J, read_file, "readFile", 1);
	add_function(J, inode, "inode", 1);
	add_function(J, remove_file, "removeFile", 1);
	add_function(J, lock, "lock", 2);
	add_function(J, write_durably, "writeDurably", 4);
}
