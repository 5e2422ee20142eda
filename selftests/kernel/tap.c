// SPDX-License-Identifier: GPL-2.0
/*
 * tap.c - TAP output, see tap.h.
 */
#include <string.h>

#include "tap.h"

int tap_count, tap_failed;

bool tap_check(bool condition, const char *file, int line, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	va_list args;

	tap_count++;
	printf("%sok %d - ", condition ? "" : "not ", tap_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (!condition) {
		tap_failed++;
		printf("#   at %s:%d\n", slash ? slash + 1 : file, line);
	}
	fflush(stdout);
	return condition;
}

void tap_note(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void tap_skip_all(const char *fmt, ...)
{
	va_list args;

	printf("1..0 # SKIP ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	exit(TAP_SKIPPED);
}

void tap_bail(const char *fmt, ...)
{
	va_list args;

	printf("Bail out! ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

int tap_finish(void)
{
	printf("1..%d\n", tap_count);
	if (tap_failed)
		printf("# %d of %d failed\n", tap_failed, tap_count);
	return tap_failed || !tap_count ? 1 : 0;
}
