// SPDX-License-Identifier: GPL-2.0
// ackermann: deep and wide recursion with two arguments.
#include "kernel.h"

static NOINLINE u32 ackermann(u32 m, u32 n)
{
	if (m == 0)
		return n + 1;
	if (n == 0)
		return ackermann(m - 1, 1);
	return ackermann(m - 1, ackermann(m, n - 1));
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--)
		sum = mix(sum, ackermann(2, 60 + n % 2));
	return sum;
}
