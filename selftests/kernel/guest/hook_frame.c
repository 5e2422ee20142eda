// SPDX-License-Identifier: GPL-2.0
// Copies as many packet bytes as the first says to its stack and adds them up there: an odd sum drops. A short packet
// is a trap while the frame is there. wring: no eBPF twin
#include <wring.h>

WRING_LICENSE("GPL");

__attribute__((noinline)) static void copy(struct wring_packet *pkt, u8 *out, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		out[i] = wring_load8(pkt, i);
}

WRING_XDP(frame, pkt)
{
	u32 i, count = wring_load8(pkt, 0), sum = 0;
	u8 bytes[256];

	copy(pkt, bytes, count);
	for (i = 0; i < count; i++)
		sum += bytes[i];
	return sum & 1 ? XDP_DROP : XDP_PASS;
}
