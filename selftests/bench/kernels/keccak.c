// SPDX-License-Identifier: GPL-2.0
// keccak: the permutation of SHA-3, 25 lanes of 64 bits.
#include "kernel.h"

static u64 round_constants[24];

/* The constants come from a shift register of 8 bits. */
static void prepare(void)
{
	u32 lfsr = 1;

	for (u32 round = 0; round < 24; round++) {
		round_constants[round] = 0;
		for (u32 j = 0; j < 7; j++) {
			if (lfsr & 1)
				round_constants[round] |= 1ull << ((1 << j) - 1);
			lfsr = lfsr << 1 ^ (lfsr >> 7) * 0x171;
		}
	}
}

#define ROW(s, y, b0, b1, b2, b3, b4)			\
	do {						\
		(s)[5 * (y)] = (b0) ^ (~(b1) & (b2));	\
		(s)[5 * (y) + 1] = (b1) ^ (~(b2) & (b3));	\
		(s)[5 * (y) + 2] = (b2) ^ (~(b3) & (b4));	\
		(s)[5 * (y) + 3] = (b3) ^ (~(b4) & (b0));	\
		(s)[5 * (y) + 4] = (b4) ^ (~(b0) & (b1));	\
	} while (0)

static NOINLINE void permute(u64 *state)
{
	u64 s[25];

	for (u32 i = 0; i < 25; i++)
		s[i] = state[i];
	for (u32 round = 0; round < 24; round++) {
		u64 c0 = s[0] ^ s[5] ^ s[10] ^ s[15] ^ s[20];
		u64 c1 = s[1] ^ s[6] ^ s[11] ^ s[16] ^ s[21];
		u64 c2 = s[2] ^ s[7] ^ s[12] ^ s[17] ^ s[22];
		u64 c3 = s[3] ^ s[8] ^ s[13] ^ s[18] ^ s[23];
		u64 c4 = s[4] ^ s[9] ^ s[14] ^ s[19] ^ s[24];
		u64 d0 = c4 ^ rotl64(c1, 1), d1 = c0 ^ rotl64(c2, 1), d2 = c1 ^ rotl64(c3, 1);
		u64 d3 = c2 ^ rotl64(c4, 1), d4 = c3 ^ rotl64(c0, 1);
		u64 t[25];

		t[0] = s[0] ^ d0;
		t[1] = rotl64(s[6] ^ d1, 44);
		t[2] = rotl64(s[12] ^ d2, 43);
		t[3] = rotl64(s[18] ^ d3, 21);
		t[4] = rotl64(s[24] ^ d4, 14);
		t[5] = rotl64(s[3] ^ d3, 28);
		t[6] = rotl64(s[9] ^ d4, 20);
		t[7] = rotl64(s[10] ^ d0, 3);
		t[8] = rotl64(s[16] ^ d1, 45);
		t[9] = rotl64(s[22] ^ d2, 61);
		t[10] = rotl64(s[1] ^ d1, 1);
		t[11] = rotl64(s[7] ^ d2, 6);
		t[12] = rotl64(s[13] ^ d3, 25);
		t[13] = rotl64(s[19] ^ d4, 8);
		t[14] = rotl64(s[20] ^ d0, 18);
		t[15] = rotl64(s[4] ^ d4, 27);
		t[16] = rotl64(s[5] ^ d0, 36);
		t[17] = rotl64(s[11] ^ d1, 10);
		t[18] = rotl64(s[17] ^ d2, 15);
		t[19] = rotl64(s[23] ^ d3, 56);
		t[20] = rotl64(s[2] ^ d2, 62);
		t[21] = rotl64(s[8] ^ d3, 55);
		t[22] = rotl64(s[14] ^ d4, 39);
		t[23] = rotl64(s[15] ^ d0, 41);
		t[24] = rotl64(s[21] ^ d1, 2);
		ROW(s, 0, t[0], t[1], t[2], t[3], t[4]);
		ROW(s, 1, t[5], t[6], t[7], t[8], t[9]);
		ROW(s, 2, t[10], t[11], t[12], t[13], t[14]);
		ROW(s, 3, t[15], t[16], t[17], t[18], t[19]);
		ROW(s, 4, t[20], t[21], t[22], t[23], t[24]);
		s[0] ^= round_constants[round];
	}
	for (u32 i = 0; i < 25; i++)
		state[i] = s[i];
}

u64 run(u32 n)
{
	u64 state[25] = { 1 };

	prepare();
	while (n--)
		permute(state);
	return state[0] ^ state[24];
}
