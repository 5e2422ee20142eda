// SPDX-License-Identifier: GPL-2.0
// aes: ten rounds of table lookups and exclusive ors on 64 blocks.
#include "kernel.h"

static u8 sbox[256];
static u32 tables[4][256];
static u32 round_keys[44];

static u8 times_two(u8 x)
{
	return x << 1 ^ (x >> 7) * 0x1b;
}

static void prepare(void)
{
	u8 p = 1, q = 1;
	u32 state = 11;

	/* p runs through the field's elements, q through their inverses. */
	do {
		p ^= times_two(p);
		q ^= q << 1;
		q ^= q << 2;
		q ^= q << 4;
		if (q & 0x80)
			q ^= 0x09;
		sbox[p] = q ^ (u8)(q << 1 | q >> 7) ^ (u8)(q << 2 | q >> 6) ^
			  (u8)(q << 3 | q >> 5) ^ (u8)(q << 4 | q >> 4) ^ 0x63;
	} while (p != 1);
	sbox[0] = 0x63;
	for (u32 i = 0; i < 256; i++) {
		u32 s = sbox[i], s2 = times_two(s), word = s2 | s << 8 | s << 16 | (s2 ^ s) << 24;

		for (u32 t = 0; t < 4; t++)
			tables[t][i] = rotl32(word, 8 * t);
	}
	for (u32 i = 0; i < COUNT(round_keys); i++)
		round_keys[i] = next_random(&state);
}

#define COLUMN(a, b, c, d, key)							\
	(tables[0][(a) & 0xff] ^ tables[1][(b) >> 8 & 0xff] ^			\
	 tables[2][(c) >> 16 & 0xff] ^ tables[3][(d) >> 24] ^ (key))

static NOINLINE void encrypt(u32 *block)
{
	const u32 *key = round_keys;
	u32 a = block[0] ^ key[0], b = block[1] ^ key[1];
	u32 c = block[2] ^ key[2], d = block[3] ^ key[3];

	for (u32 round = 0; round < 10; round++) {
		u32 e, f, g, h;

		key += 4;
		e = COLUMN(a, b, c, d, key[0]);
		f = COLUMN(b, c, d, a, key[1]);
		g = COLUMN(c, d, a, b, key[2]);
		h = COLUMN(d, a, b, c, key[3]);
		a = e, b = f, c = g, d = h;
	}
	block[0] = a, block[1] = b, block[2] = c, block[3] = d;
}

u64 run(u32 n)
{
	u32 block[4] = { 1, 2, 3, 4 };

	prepare();
	while (n--) {
		for (u32 i = 0; i < 64; i++)
			encrypt(block);
	}
	return (u64)block[0] << 32 | block[3];
}
