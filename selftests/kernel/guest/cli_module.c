// SPDX-License-Identifier: GPL-2.0
// A module that is for no hook: exports that test_cli.sh runs, good and bad, under names that are
// not nice. wring: no eBPF twin (eBPF programs are for hooks).
#include <wring.h>

#define export(name) __attribute__((export_name(name)))

export("add") u32 add(u32 a, u32 b)
{
	return a + b;
}

export("widen") u64 widen(u64 a, u32 b)
{
	return a << (b & 63);
}

export("nothing") void nothing(void)
{
}

/* Its own name, which a trap reports, is made to upset terminals. */
__attribute__((noinline)) static u32 hostile(u32 divisor) __asm__("in\033[31mred");
static u32 hostile(u32 divisor)
{
	return 1000 / divisor;
}

export("divide") u32 divide(u32 divisor)
{
	return hostile(divisor);
}

export("spin") u32 spin(volatile u32 *word)
{
	do
		*word |= 1;
	while (*word);
	return 0;
}

export("of\033[5mname\n") u32 named(void)
{
	return 7;
}
