// SPDX-License-Identifier: GPL-2.0
// simd_blur: a 3 x 3 box filter over 128 x 64 pixels of 8 bits, for the compiler to vectorize.
#include "kernel.h"

#define WIDTH 128
#define HEIGHT 64

static u8 image[HEIGHT][WIDTH], blurred[HEIGHT][WIDTH];
static u16 rows[WIDTH];

static NOINLINE void blur(u8 (*restrict to)[WIDTH], u8 (*restrict from)[WIDTH])
{
	for (u32 y = 1; y < HEIGHT - 1; y++) {
		for (u32 x = 0; x < WIDTH; x++)
			rows[x] = from[y - 1][x] + from[y][x] + from[y + 1][x];
		for (u32 x = 1; x < WIDTH - 1; x++)
			to[y][x] = (u16)((u16)(rows[x - 1] + rows[x] + rows[x + 1]) * 57) >> 9;
	}
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 9;

	for (u32 i = 0; i < WIDTH * HEIGHT; i++)
		image[i / WIDTH][i % WIDTH] = next_random(&state);
	while (n--) {
		blur(blurred, image);
		image[n % HEIGHT][n % WIDTH]++;
		sum = mix(sum, blurred[1 + n % (HEIGHT - 2)][1 + n % (WIDTH - 2)]);
	}
	return sum;
}
