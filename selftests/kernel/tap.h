/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tap.h - TAP output of a kernel self-test, as kselftest does it: exit 0 passed, 1 failed, 4 skipped.
 *
 * main() runs checks and ends in `return tap_finish();`. Not for concurrent use.
 */
#ifndef WRING_SELFTESTS_TAP_H
#define WRING_SELFTESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define TAP_SKIPPED 4

extern int tap_count, tap_failed;

/* One check: prints "ok N - text" or "not ok N - text" with the place; returns the condition. */
bool tap_check(bool condition, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define tap_ok(condition, ...) tap_check((condition), __FILE__, __LINE__, __VA_ARGS__)
/* tap_ok(a == b) that shows both on failure. */
#define tap_eq(a, b, ...) ({							\
	long long tap_a = (long long)(a), tap_b = (long long)(b);		\
	bool tap_same = tap_check(tap_a == tap_b, __FILE__, __LINE__, __VA_ARGS__); \
	if (!tap_same)								\
		printf("#   %s is %lld, expected %lld\n", #a, tap_a, tap_b);	\
	tap_same; })

/* A remark. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program: nothing of this can be tested here. */
void tap_skip_all(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Ends the program: the test itself cannot go on. Counts as failed. */
void tap_bail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Prints the plan and returns main's result. */
int tap_finish(void);

#endif
