// SPDX-License-Identifier: GPL-2.0
// mandelbrot: 64 x 64 points, at most 100 iterations each.
#include "kernel.h"

static NOINLINE u32 escape(double cx, double cy)
{
	double x = 0, y = 0;
	u32 i = 0;

	for (; i < 100; i++) {
		double x2 = x * x, y2 = y * y;

		if (x2 + y2 > 4)
			break;
		y = 2 * x * y + cy;
		x = x2 - y2 + cx;
	}
	return i;
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--) {
		for (u32 i = 0; i < 64; i++)
			for (u32 j = 0; j < 64; j++)
				sum = sum * 3 + escape(j * (3.0 / 64) - 2.2, i * (2.4 / 64) - 1.2);
	}
	return sum;
}
