// SPDX-License-Identifier: GPL-2.0
// simd_utf8: counts code points and finds the longest run of ASCII in 16 KiB, 16 bytes at a time.
#include "kernel.h"

typedef s8 s8x16 __attribute__((vector_size(16)));

static s8x16 text[1024];

static NOINLINE u32 count_points(const s8x16 *p, u32 blocks)
{
	u32 count = 0;

	while (blocks) {
		u32 now = blocks < 255 ? blocks : 255; /* until a lane of the sum may overflow */
		s8x16 sum = { 0 };

		blocks -= now;
		while (now--)
			sum -= *p++ > (s8)0xbf; /* not a continuation byte; true is -1 */
		for (u32 i = 0; i < 16; i++)
			count += (u8)sum[i];
	}
	return count;
}

static NOINLINE u32 longest_ascii(const s8x16 *p, u32 blocks)
{
	u32 longest = 0, length = 0;

	for (u32 i = 0; i < blocks; i++) {
		typedef u64 u64x2 __attribute__((vector_size(16)));
		u64x2 halves = (u64x2)p[i];

		length = (halves[0] | halves[1]) & 0x8080808080808080ull ? 0 : length + 16;
		if (length > longest)
			longest = length;
	}
	return longest;
}

u64 run(u32 n)
{
	u64 sum = 0;
	u32 state = 2;

	for (u32 i = 0; i < 16 * COUNT(text); i += 2) {
		u32 wide = i / 512 % 3 == 0 && next_random(&state) % 4 == 0;

		text[i / 16][i % 16] = wide ? 0xc3 : 'a' + i % 26;
		text[i / 16][i % 16 + 1] = wide ? 0x80 + i % 64 : ' ';
	}
	while (n--) {
		text[n % COUNT(text)][0] = 'b' + n % 2;
		sum = mix(sum, count_points(text, COUNT(text)));
		sum = mix(sum, longest_ascii(text, COUNT(text)));
	}
	return sum;
}
