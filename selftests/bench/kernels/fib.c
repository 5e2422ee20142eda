// SPDX-License-Identifier: GPL-2.0
// fib: Fibonacci numbers by double recursion: nothing but calls.
#include "kernel.h"

static NOINLINE u32 fib(u32 n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--)
		sum = mix(sum, fib(18 + n % 2));
	return sum;
}
