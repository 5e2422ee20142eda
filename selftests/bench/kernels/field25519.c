// SPDX-License-Identifier: GPL-2.0
// field25519: multiplication modulo 2^255 - 19 in five limbs of 51 bits.
#include "kernel.h"

typedef unsigned __int128 u128;

#ifdef __wasm__
/* What the compiler calls for a product of 128 bits, as compiler-rt has it: 32-bit halves. */
__int128 __multi3(__int128 a, __int128 b)
{
	u64 al = (u64)a, ah = (u64)((u128)a >> 64), bl = (u64)b, bh = (u64)((u128)b >> 64);
	u64 a0 = al & 0xffffffff, a1 = al >> 32, b0 = bl & 0xffffffff, b1 = bl >> 32;
	u64 low = a0 * b0, carry = (low >> 32) + a1 * b0, middle = (carry & 0xffffffff) + a0 * b1;
	u64 high = (carry >> 32) + (middle >> 32) + a1 * b1 + al * bh + ah * bl;

	return (__int128)((u128)high << 64 | (middle << 32 | (low & 0xffffffff)));
}
#endif

#define LIMB ((1ull << 51) - 1)

static NOINLINE void multiply(u64 *out, const u64 *a, const u64 *b)
{
	u64 b1 = 19 * b[1], b2 = 19 * b[2], b3 = 19 * b[3], b4 = 19 * b[4];
	u128 r0 = (u128)a[0] * b[0] + (u128)a[1] * b4 + (u128)a[2] * b3 + (u128)a[3] * b2 +
		  (u128)a[4] * b1;
	u128 r1 = (u128)a[0] * b[1] + (u128)a[1] * b[0] + (u128)a[2] * b4 + (u128)a[3] * b3 +
		  (u128)a[4] * b2;
	u128 r2 = (u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0] + (u128)a[3] * b4 +
		  (u128)a[4] * b3;
	u128 r3 = (u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] + (u128)a[3] * b[0] +
		  (u128)a[4] * b4;
	u128 r4 = (u128)a[0] * b[4] + (u128)a[1] * b[3] + (u128)a[2] * b[2] + (u128)a[3] * b[1] +
		  (u128)a[4] * b[0];

	r1 += (u64)(r0 >> 51);
	r2 += (u64)(r1 >> 51);
	r3 += (u64)(r2 >> 51);
	r4 += (u64)(r3 >> 51);
	out[0] = ((u64)r0 & LIMB) + 19 * (u64)(r4 >> 51);
	out[1] = ((u64)r1 & LIMB) + (out[0] >> 51);
	out[0] &= LIMB;
	out[2] = (u64)r2 & LIMB;
	out[3] = (u64)r3 & LIMB;
	out[4] = (u64)r4 & LIMB;
}

u64 run(u32 n)
{
	u64 x[5] = { 9, 8, 7, 6, 5 }, y[5] = { 3, 1, 4, 1, 5 };

	while (n--) {
		for (u32 i = 0; i < 32; i++) {
			multiply(x, x, y);
			multiply(y, y, x);
		}
	}
	return x[0] ^ y[4];
}
