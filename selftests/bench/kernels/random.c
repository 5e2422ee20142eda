// SPDX-License-Identifier: GPL-2.0
// random: several generators of numbers side by side, 32 and 64 bits wide.
#include "kernel.h"

u64 run(u32 n)
{
	u64 sum = 0, lcg = 1, xorshift = 88172645463325252ull, weyl = 0;
	u32 small = 12345;

	while (n--) {
		for (u32 i = 0; i < 1024; i++) {
			lcg = lcg * 6364136223846793005ull + 1442695040888963407ull;
			xorshift ^= xorshift << 13;
			xorshift ^= xorshift >> 7;
			xorshift ^= xorshift << 17;
			weyl += 0x61c8864680b583ebull;
			small = small * 1664525 + 1013904223;
			sum += (lcg >> 32) ^ xorshift ^ (weyl ^ weyl >> 29) ^ small % 1000003;
		}
	}
	return sum;
}
