// SPDX-License-Identifier: GPL-2.0
// simd_dot: scalar product of 4096 floats and of 16-bit integers, vectorized by hand.
#include "kernel.h"

typedef float f32x4 __attribute__((vector_size(16)));
typedef s16 s16x8 __attribute__((vector_size(16)));
typedef s32 s32x8 __attribute__((vector_size(32)));

static f32x4 x[1024], y[1024];
static s16x8 p[512], q[512];

static NOINLINE float dot_floats(void)
{
	f32x4 sum0 = { 0 }, sum1 = { 0 };

	for (u32 i = 0; i < COUNT(x); i += 2) {
		sum0 += x[i] * y[i];
		sum1 += x[i + 1] * y[i + 1];
	}
	sum0 += sum1;
	return (sum0[0] + sum0[1]) + (sum0[2] + sum0[3]);
}

static NOINLINE u32 dot_integers(void)
{
	s32x8 sum = { 0 };
	u32 total = 0;

	for (u32 i = 0; i < COUNT(p); i++)
		sum += __builtin_convertvector(p[i], s32x8) * __builtin_convertvector(q[i], s32x8);
	for (u32 lane = 0; lane < 8; lane++)
		total += sum[lane];
	return total;
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 6;

	for (u32 i = 0; i < 4 * COUNT(x); i++) {
		x[i / 4][i % 4] = (float)(next_random(&state) % 100) * 0.01f;
		y[i / 4][i % 4] = (float)(next_random(&state) % 100) * 0.02f;
	}
	for (u32 i = 0; i < 8 * COUNT(p); i++) {
		p[i / 8][i % 8] = next_random(&state);
		q[i / 8][i % 8] = next_random(&state);
	}
	while (n--) {
		x[n % COUNT(x)][0] += 1;
		p[n % COUNT(p)][1] += 3;
		sum = mix(sum, bits_of_float(dot_floats()));
		sum = mix(sum, dot_integers());
	}
	return sum;
}
