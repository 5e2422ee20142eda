// SPDX-License-Identifier: GPL-2.0
// queens: solutions for eight and seven queens with bit masks, by recursion.
#include "kernel.h"

static NOINLINE u32 place(u32 columns, u32 left, u32 right, u32 all)
{
	u32 count = 0, open = all & ~(columns | left | right);

	if (columns == all)
		return 1;
	while (open) {
		u32 bit = open & -open;

		open ^= bit;
		count += place(columns | bit, (left | bit) << 1, (right | bit) >> 1, all);
	}
	return count;
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--)
		sum = mix(sum, place(0, 0, 0, n % 2 ? 0xff : 0x7f));
	return sum;
}
