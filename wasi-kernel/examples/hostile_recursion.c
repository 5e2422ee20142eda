// SPDX-License-Identifier: GPL-2.0
// Calls itself without end: stopped when its stack is exhausted.
// wring: no eBPF twin (the verifier would refuse it).
#include <wring.h>

WRING_LICENSE("GPL");

/* No C stack is used, so linear memory has no say in how deep this goes. */
__attribute__((noinline)) static u32 descend(u32 depth, u32 step)
{
	if (step == 0)
		return depth;
	return (descend(depth + step, step) >> 1) ^ depth;
}

WRING_XDP(infinite_recursion, pkt)
{
	return descend(1, wring_load8(pkt, 0) | 1) ? XDP_DROP : XDP_PASS;
}
