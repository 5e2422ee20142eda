// SPDX-License-Identifier: GPL-2.0
// copy: copies, fills and compares 16 KiB with loops over bytes and over words.
#include "kernel.h"

static u8 from[16384], to[16384];

static NOINLINE void copy_words(u8 *out, const u8 *in, u32 len)
{
	u64 *o = (u64 *)out;
	const u64 *i = (const u64 *)in;

	for (; len >= 32; len -= 32, o += 4, i += 4) {
		u64 a = i[0], b = i[1], c = i[2], d = i[3];

		o[0] = a, o[1] = b, o[2] = c, o[3] = d;
	}
}

static NOINLINE void reverse_bytes(u8 *out, const u8 *in, u32 len)
{
	for (u32 i = 0; i < len; i++)
		out[i] = in[len - 1 - i];
}

static NOINLINE u32 first_difference(const u8 *a, const u8 *b, u32 len)
{
	u32 i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

u64 run(u32 n)
{
	u32 state = 77;
	u64 sum = 0;

	for (u32 i = 0; i < sizeof(from); i++)
		from[i] = next_random(&state);
	while (n--) {
		copy_words(to, from, sizeof(to));
		to[sizeof(to) - 1 - n % 16]++;
		sum = mix(sum, first_difference(from, to, sizeof(to)));
		reverse_bytes(to, from, sizeof(to));
		sum = mix(sum, to[n % sizeof(to)]);
	}
	return sum;
}
