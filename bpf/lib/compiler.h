/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the compiler is told about functions and branches. */
#pragma once

/*
 * What is off the common way: functions of global linkage, so that the verifier looks at each once by itself instead of
 * once for every way that leads to it. It takes their pointers to be null until they have been checked (before Linux
 * 6.8 there is no way to promise otherwise), and a packet's pointers to be lost when they return.
 */
#define __outlined __attribute__((noinline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
