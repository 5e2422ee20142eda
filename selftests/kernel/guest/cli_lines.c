// SPDX-License-Identifier: GPL-2.0
// Built with debug information: tests want to be told the lines where this traps.
// wring: no eBPF twin (there is no trap in eBPF).
#include <wring.h>

WRING_LICENSE("GPL");

/* It recurses so that nobody inlines it. */
__attribute__((noinline)) static u32 divide(u32 a, u32 b)
{
	u32 half = a > 8 ? divide(a / 2, b) - a : a;
	return half / b; /* line 12: traps if b is 0 */
}

WRING_XDP(lines, pkt)
{
	u32 first = wring_load8(pkt, 0);

	return divide(wring_load8(pkt, 1), first) ? XDP_DROP : XDP_PASS; /* line 19 */
}
