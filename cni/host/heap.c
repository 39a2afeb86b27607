/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter's memory. Parsing the program would be most of a run (1.3 of 2.2 ms), so it is
 * done once, when the executable is built: everything MuJS then allocates lies in `image`, whose
 * bytes are written back into the section .image of the same executable. A run finds its
 * interpreter ready. That holds because the executable is static and not position-independent:
 * image, functions and constants keep their addresses, and no byte of it is allocated by libc. A
 * run allocates with malloc and leaves the image's blocks where they are.
 */
#include "host.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Twice what the program needs; pages that are never touched cost nothing but their place in the
 * file. */
enum { IMAGE_SIZE = 2 << 20, ALIGNMENT = 16 };

struct image {
	js_State *state; /* NULL until the image is complete */
	size_t used;
	_Alignas(ALIGNMENT) char bytes[IMAGE_SIZE - ALIGNMENT];
};

/* The initial value, which changes nothing, gives the section contents in the file. */
static struct image image __attribute__((section(".image"), aligned(4096))) = {.used = 0};

/*
 * In the C library's place: MuJS seeds Math.random with it, which the program does not use, and the
 * image would be another one each second.
 */
time_t time(time_t *at)
{
	if (at)
		*at = 0;
	return 0;
}

static bool in_image(const void *block)
{
	const char *at = block;

	return at >= image.bytes && at < image.bytes + sizeof(image.bytes);
}

/* Each block of the image is preceded by its size. */
static size_t size_in_image(const void *block)
{
	size_t size;

	memcpy(&size, (const char *)block - ALIGNMENT, sizeof(size));
	return size;
}

/* Freed blocks are not used again: what a parser frees, it frees at the end. */
static void *take_from_image(size_t size)
{
	size_t step = ALIGNMENT + (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	char *place = image.bytes + image.used;

	if (step > sizeof(image.bytes) - image.used)
		return NULL;
	image.used += step;
	memcpy(place, &size, sizeof(size));
	return place + ALIGNMENT;
}

/* A block of the image that no longer suffices, or none, becomes a new one. */
static void *replace(void *block, size_t size)
{
	void *larger;

	if (block && size <= size_in_image(block))
		return block;
	larger = image.state ? malloc(size) : take_from_image(size);
	if (larger && block)
		memcpy(larger, block, size_in_image(block));
	return larger;
}

static void *allocate(void *context, void *block, int size)
{
	bool free_standing = block && !in_image(block);

	(void)context;
	if (size > 0)
		return free_standing ? realloc(block, (size_t)size) : replace(block, (size_t)size);
	if (free_standing)
		free(block);
	return NULL;
}

js_State *heap_state(void)
{
	return image.state;
}

js_State *heap_new_state(void)
{
	return js_newstate(allocate, NULL, JS_STRICT);
}

int heap_save(js_State *J)
{
	js_gc(J, 0);
	image.state = J;
	return write_all(STDOUT_FILENO, (const char *)&image, sizeof(image));
}
