// SPDX-License-Identifier: GPL-2.0
// Netfilter: stores a byte into each UDP datagram to port 5301, where the map says, and lets it pass.
// wring: no eBPF twin (Linux 6.1 has no eBPF program type for netfilter).
#include <wring.h>

WRING_LICENSE("GPL");

enum { OFFSET, VALUE, MAX };
WRING_MAP(poke, ARRAY, u32, u64, MAX);

#define PORT 5301

WRING_NETFILTER(poke_byte, pkt)
{
	u32 offset = (u32)wring_map_load(poke, OFFSET);
	const struct wring_udp wring_hdr *udp;
	u8 version = wring_load8(pkt, 0) >> 4;

	u32 header = version == 4 ? sizeof(struct wring_ipv4) : sizeof(struct wring_ipv6);

	udp = wring_header(pkt, header, struct wring_udp);
	if (wring_load8(pkt, version == 4 ? 9 : 6) == WRING_IPPROTO_UDP &&
	    wring_field(udp->dest) == wring_htons(PORT))
		wring_store8(pkt, offset, (u8)wring_map_load(poke, VALUE));
	return WRING_NF_ACCEPT;
}
