// SPDX-License-Identifier: GPL-2.0
// collatz: lengths of the sequences from 1 to 1000.
#include "kernel.h"

static NOINLINE u32 length_of(u64 x)
{
	u32 steps = 0;

	while (x != 1) {
		x = x & 1 ? 3 * x + 1 : x / 2;
		steps++;
	}
	return steps;
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--) {
		for (u32 i = 1; i <= 1000; i++)
			sum = mix(sum, length_of(i));
	}
	return sum;
}
