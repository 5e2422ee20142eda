// SPDX-License-Identifier: GPL-2.0
// Packet access of every kind. What to do is in the packet: operation at 14, u16 argument (as it
// lies) at 16; results are stored from 24 on.
#include <wring.h>

WRING_LICENSE("GPL");

WRING_MAP(scratch, ARRAY, u32, u64, 4);

enum { OP_LOADS, OP_STORES, OP_LOAD_AT, OP_BULK, OP_BULK_OUTSIDE, OP_LENGTH, OP_HEADER, OP_LOG };

wring_inline u32 bulk(struct wring_packet *pkt)
{
	u8 bytes[16];
	u32 i;

	if (wring_pkt_read(pkt, 0, bytes, sizeof(bytes)))
		return XDP_ABORTED;
	for (i = 0; i < sizeof(bytes) / 2; i++) {
		u8 swapped = bytes[i];

		bytes[i] = bytes[15 - i];
		bytes[15 - i] = swapped;
	}
	return wring_pkt_write(pkt, 24, bytes, sizeof(bytes)) ? XDP_ABORTED : XDP_PASS;
}

wring_inline u32 bulk_outside(struct wring_packet *pkt)
{
	u64 word = 0x1122334455667788;
	u32 len = wring_pkt_len(pkt);

	/* Both fail without a trace: the packet ends 4 bytes too early. */
	if (wring_pkt_read(pkt, len - 4, &word, sizeof(word)) >= 0 || word != 0x1122334455667788)
		return XDP_ABORTED;
	if (wring_pkt_write(pkt, len - 4, &word, sizeof(word)) >= 0)
		return XDP_ABORTED;
	return XDP_TX;
}

WRING_XDP(access, pkt)
{
	const struct wring_udp wring_hdr *udp;
	u16 argument = wring_load16(pkt, 16);

	switch (wring_load8(pkt, 14)) {
	case OP_LOADS:
		wring_store64(pkt, 24,
			      wring_load8(pkt, 0) + wring_load16(pkt, 1) +
				      (u64)wring_load32(pkt, 3) + wring_load64(pkt, 5));
		return XDP_PASS;
	case OP_STORES:
		wring_store8(pkt, 24, 0x11);
		wring_store16(pkt, 25, 0x2222);
		wring_store32(pkt, 27, 0x33333333);
		wring_store64(pkt, 31, 0x4444444444444444);
		return XDP_PASS;
	case OP_LOAD_AT:
		wring_store64(pkt, 24, wring_load32(pkt, argument));
		return XDP_TX;
	case OP_BULK:
		return bulk(pkt);
	case OP_BULK_OUTSIDE:
		return bulk_outside(pkt);
	case OP_LENGTH:
		wring_store64(pkt, 24, wring_pkt_len(pkt));
		return XDP_PASS;
	case OP_HEADER:
		udp = wring_header(pkt, argument, struct wring_udp);
		wring_store64(pkt, 24, wring_ntohs(wring_field(udp->dest)));
		return XDP_TX;
	case OP_LOG:
		wring_log("argument %d is %x, %llu", (s32)(s16)argument, argument, (u64)1 << 40);
		return XDP_PASS;
	default:
		return XDP_DROP;
	}
}
