// SPDX-License-Identifier: GPL-2.0
// transpose: a matrix of 128 x 128 words, in blocks of eight.
#include "kernel.h"

#define SIZE 128
#define BLOCK 8

static u32 in[SIZE][SIZE], out[SIZE][SIZE];

static NOINLINE void transpose(u32 (*to)[SIZE], u32 (*from)[SIZE])
{
	for (u32 row = 0; row < SIZE; row += BLOCK)
		for (u32 column = 0; column < SIZE; column += BLOCK)
			for (u32 i = 0; i < BLOCK; i++)
				for (u32 j = 0; j < BLOCK; j++)
					to[column + j][row + i] = from[row + i][column + j];
}

u64 run(u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < SIZE * SIZE; i++)
		in[i / SIZE][i % SIZE] = i * i;
	while (n--) {
		in[n % SIZE][0] = n;
		transpose(out, in);
		transpose(in, out);
		sum = mix(sum, out[0][n % SIZE] + in[3][n % SIZE]);
	}
	return sum;
}
