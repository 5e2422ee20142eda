// SPDX-License-Identifier: GPL-2.0
// gemm: product of matrices of 48 x 48 doubles.
#include "kernel.h"

#define SIZE 48

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static NOINLINE void gemm(double alpha, double beta)
{
	for (u32 i = 0; i < SIZE; i++) {
		for (u32 j = 0; j < SIZE; j++)
			c[i][j] *= beta;
		for (u32 k = 0; k < SIZE; k++)
			for (u32 j = 0; j < SIZE; j++)
				c[i][j] += alpha * a[i][k] * b[k][j];
	}
}

u64 run(u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < SIZE; i++) {
		for (u32 j = 0; j < SIZE; j++) {
			a[i][j] = (double)((i * j + 1) % SIZE) / SIZE;
			b[i][j] = (double)((i * j + 2) % SIZE) / SIZE;
			c[i][j] = 0;
		}
	}
	while (n--)
		gemm(1.25, 0.5);
	for (u32 i = 0; i < SIZE; i++)
		sum = mix(sum, bits_of_double(c[i][(i * 7) % SIZE]));
	return sum;
}
