// SPDX-License-Identifier: GPL-2.0
// sha256: of 4 KiB.
#include "kernel.h"

static u32 constants[64];
static u8 message[4096];

/* Random round constants: the work is the same as with SHA's own. */
static void prepare(void)
{
	u32 state = 5;

	for (u32 i = 0; i < COUNT(constants); i++)
		constants[i] = next_random(&state);
	for (u32 i = 0; i < sizeof(message); i++)
		message[i] = next_random(&state);
}

static u32 rotr(u32 x, u32 by)
{
	return rotl32(x, 32 - by);
}

static NOINLINE void compress(u32 *hash, const u8 *block)
{
	u32 w[64];
	u32 a = hash[0], b = hash[1], c = hash[2], d = hash[3];
	u32 e = hash[4], f = hash[5], g = hash[6], h = hash[7];

	for (u32 i = 0; i < 16; i++)
		w[i] = (u32)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
		       block[4 * i + 3];
	for (u32 i = 16; i < 64; i++) {
		u32 x = w[i - 15], y = w[i - 2];

		w[i] = w[i - 16] + (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) + w[i - 7] +
		       (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
	}
	for (u32 i = 0; i < 64; i++) {
		u32 t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) +
			 constants[i] + w[i];
		u32 t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	hash[0] += a;
	hash[1] += b;
	hash[2] += c;
	hash[3] += d;
	hash[4] += e;
	hash[5] += f;
	hash[6] += g;
	hash[7] += h;
}

u64 run(u32 n)
{
	u32 hash[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	prepare();
	while (n--) {
		for (u32 i = 0; i < sizeof(message); i += 64)
			compress(hash, message + i);
	}
	return (u64)hash[0] << 32 | hash[7];
}
