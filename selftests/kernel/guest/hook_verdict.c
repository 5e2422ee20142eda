// SPDX-License-Identifier: GPL-2.0
// Answers what the packet says: a little-endian u32 at offset 16, as the verdict; offset 20 selects
// a trap. wring: no eBPF twin (the verifier knows the verdicts).
#include <wring.h>

WRING_LICENSE("GPL");

WRING_XDP(answer, pkt)
{
	if (wring_load8(pkt, 20))
		__builtin_trap();
	return wring_load32(pkt, 16);
}
