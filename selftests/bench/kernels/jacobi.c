// SPDX-License-Identifier: GPL-2.0
// jacobi: a five-point stencil over 64 x 64 doubles, back and forth.
#include "kernel.h"

#define SIZE 64

static double a[SIZE][SIZE], b[SIZE][SIZE];

static NOINLINE void relax(double (*to)[SIZE], double (*from)[SIZE])
{
	for (u32 i = 1; i < SIZE - 1; i++)
		for (u32 j = 1; j < SIZE - 1; j++)
			to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] +
					  from[i - 1][j] + from[i + 1][j]);
}

u64 run(u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < SIZE; i++)
		for (u32 j = 0; j < SIZE; j++)
			a[i][j] = b[i][j] = (double)i * (j + 2) / SIZE;
	while (n--) {
		relax(b, a);
		relax(a, b);
	}
	for (u32 i = 0; i < SIZE; i++)
		sum = mix(sum, bits_of_double(a[i][(i * 5) % SIZE]));
	return sum;
}
