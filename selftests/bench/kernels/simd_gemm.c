// SPDX-License-Identifier: GPL-2.0
// simd_gemm: product of matrices of 64 x 64 floats, four lanes at a time.
#include "kernel.h"

#define SIZE 64

typedef float f32x4 __attribute__((vector_size(16)));

static f32x4 a[SIZE][SIZE / 4], b[SIZE][SIZE / 4], c[SIZE][SIZE / 4];

static NOINLINE void gemm(void)
{
	for (u32 i = 0; i < SIZE; i++) {
		for (u32 j = 0; j < SIZE / 4; j += 2) {
			f32x4 sum0 = c[i][j], sum1 = c[i][j + 1];

			for (u32 k = 0; k < SIZE / 4; k++) {
				f32x4 row = a[i][k];

				for (u32 lane = 0; lane < 4; lane++) {
					f32x4 x = { row[lane], row[lane], row[lane], row[lane] };

					sum0 += x * b[4 * k + lane][j];
					sum1 += x * b[4 * k + lane][j + 1];
				}
			}
			c[i][j] = sum0 * 0.5f;
			c[i][j + 1] = sum1 * 0.5f;
		}
	}
}

u64 run(u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < SIZE; i++) {
		for (u32 j = 0; j < SIZE; j++) {
			a[i][j / 4][j % 4] = (float)(i * j % 7) * 0.125f;
			b[i][j / 4][j % 4] = (float)((i + j) % 11) * 0.0625f;
			c[i][j / 4][j % 4] = 0;
		}
	}
	while (n--)
		gemm();
	for (u32 i = 0; i < SIZE; i++)
		sum = mix(sum, bits_of_float(c[i][i / 4][i % 4]));
	return sum;
}
