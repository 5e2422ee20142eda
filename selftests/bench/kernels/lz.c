// SPDX-License-Identifier: GPL-2.0
// lz: unpacks 32 KiB of literals and matches, the format's tokens as LZ4 has them.
#include "kernel.h"

static u8 packed[32768], unpacked[32768];
static u32 packed_len;

static u32 put_length(u32 at, u32 more)
{
	for (; more >= 255; more -= 255)
		packed[at++] = 255;
	packed[at++] = more;
	return at;
}

/* Tokens at random: literals of 1 to 20 bytes, matches of 4 to 40 bytes up to 2000 bytes back. */
static void prepare(void)
{
	u32 state = 4, made = 0, at = 0;

	while (made < sizeof(unpacked) - 64) {
		u32 literals = 1 + next_random(&state) % 20, match = next_random(&state) % 37;
		u32 distance = 1 + next_random(&state) % 2000;

		if (distance > made + literals)
			distance = made + literals;
		packed[at++] = (literals < 15 ? literals : 15) << 4 | (match < 15 ? match : 15);
		if (literals >= 15)
			at = put_length(at, literals - 15);
		for (u32 i = 0; i < literals; i++)
			packed[at++] = next_random(&state) % 64;
		packed[at++] = distance;
		packed[at++] = distance >> 8;
		if (match >= 15)
			at = put_length(at, match - 15);
		made += literals + match + 4;
	}
	packed_len = at;
}

static NOINLINE u32 unpack(u8 *out, const u8 *in, const u8 *end)
{
	u8 *start = out;

	while (in < end) {
		u32 token = *in++, len = token >> 4;
		const u8 *from;
		u8 more;

		if (len == 15) {
			do {
				more = *in++;
				len += more;
			} while (more == 255);
		}
		while (len--)
			*out++ = *in++;
		from = out - (in[0] | in[1] << 8);
		in += 2;
		len = (token & 15) + 4;
		if (len == 19) {
			do {
				more = *in++;
				len += more;
			} while (more == 255);
		}
		while (len--)
			*out++ = *from++;
	}
	return out - start;
}

u64 run(u32 n)
{
	u64 sum = 0;

	prepare();
	while (n--) {
		u32 len = unpack(unpacked, packed, packed + packed_len);

		sum = mix(sum, len ^ unpacked[n % len]);
	}
	return sum;
}
