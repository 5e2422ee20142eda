// SPDX-License-Identifier: GPL-2.0
// chacha20: a kilobyte of key stream.
#include "kernel.h"

#define QUARTER(a, b, c, d)				\
	do {						\
		(a) += (b), (d) = rotl32((d) ^ (a), 16);	\
		(c) += (d), (b) = rotl32((b) ^ (c), 12);	\
		(a) += (b), (d) = rotl32((d) ^ (a), 8);		\
		(c) += (d), (b) = rotl32((b) ^ (c), 7);		\
	} while (0)

static u32 stream[256];

static NOINLINE void block(const u32 *key, u32 *out)
{
	u32 x0 = key[0], x1 = key[1], x2 = key[2], x3 = key[3];
	u32 x4 = key[4], x5 = key[5], x6 = key[6], x7 = key[7];
	u32 x8 = key[8], x9 = key[9], x10 = key[10], x11 = key[11];
	u32 x12 = key[12], x13 = key[13], x14 = key[14], x15 = key[15];

	for (u32 i = 0; i < 10; i++) {
		QUARTER(x0, x4, x8, x12);
		QUARTER(x1, x5, x9, x13);
		QUARTER(x2, x6, x10, x14);
		QUARTER(x3, x7, x11, x15);
		QUARTER(x0, x5, x10, x15);
		QUARTER(x1, x6, x11, x12);
		QUARTER(x2, x7, x8, x13);
		QUARTER(x3, x4, x9, x14);
	}
	out[0] = x0 + key[0], out[1] = x1 + key[1], out[2] = x2 + key[2], out[3] = x3 + key[3];
	out[4] = x4 + key[4], out[5] = x5 + key[5], out[6] = x6 + key[6], out[7] = x7 + key[7];
	out[8] = x8 + key[8], out[9] = x9 + key[9];
	out[10] = x10 + key[10], out[11] = x11 + key[11];
	out[12] = x12 + key[12], out[13] = x13 + key[13];
	out[14] = x14 + key[14], out[15] = x15 + key[15];
}

u64 run(u32 n)
{
	u32 key[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 1, 2, 3, 4, 5, 6, 7, 8 };
	u64 sum = 0;

	while (n--) {
		for (u32 i = 0; i < COUNT(stream); i += 16) {
			block(key, stream + i);
			key[12]++;
		}
		sum = mix(sum, stream[n % COUNT(stream)]);
	}
	return sum;
}
