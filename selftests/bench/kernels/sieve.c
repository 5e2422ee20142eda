// SPDX-License-Identifier: GPL-2.0
// sieve: the primes below 32768, a byte per number.
#include "kernel.h"

#define LIMIT 32768

static u8 composite[LIMIT];

static u32 count_primes(void)
{
	u32 count = 0;

	for (u32 i = 0; i < LIMIT; i++)
		composite[i] = 0;
	for (u32 i = 2; i < LIMIT; i++) {
		if (composite[i])
			continue;
		count++;
		for (u32 j = i + i; j < LIMIT; j += i)
			composite[j] = 1;
	}
	return count;
}

u64 run(u32 n)
{
	u64 sum = 0;

	while (n--)
		sum = mix(sum, count_primes());
	return sum;
}
