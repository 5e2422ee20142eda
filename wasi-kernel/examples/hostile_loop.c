// SPDX-License-Identifier: GPL-2.0
// Never returns of its own accord: stopped when its fuel is used up.
// wring: no eBPF twin (the verifier would refuse it).
#include <wring.h>

WRING_LICENSE("GPL");

__attribute__((noinline)) static u32 spin(volatile u32 *word)
{
	while (*word != 0)
		*word |= 1;
	return *word;
}

WRING_XDP(infinite_loop, pkt)
{
	volatile u32 word = 1 | wring_load8(pkt, 0);

	return spin(&word) ? XDP_DROP : XDP_PASS;
}
