// SPDX-License-Identifier: GPL-2.0
// Netfilter: for UDP over IPv4, copies the last 8 bytes of the packet (wherever they are) and the
// TTL to the map, and rewrites the TTL if the map says so. wring: no eBPF twin (Linux 6.1 has no
// eBPF program type for netfilter).
#include <wring.h>

WRING_LICENSE("GPL");

enum { TAIL, COUNT, NEW_TTL, OLD_TTL, MAX };
WRING_MAP(state, ARRAY, u32, u64, MAX);

static u64 tail;

WRING_NETFILTER(edit, pkt)
{
	const struct wring_ipv4 wring_hdr *ip = wring_header(pkt, 0, struct wring_ipv4);
	u8 new_ttl = (u8)wring_map_load(state, NEW_TTL);
	u64 old_ttl = wring_field(ip->ttl);
	u32 key;

	if (wring_field(ip->version_ihl) != 0x45 || wring_field(ip->protocol) != WRING_IPPROTO_UDP)
		return WRING_NF_ACCEPT;
	wring_map_add(state, COUNT, 1);
	if (wring_pkt_read(pkt, wring_ntohs(wring_field(ip->total_len)) - sizeof(tail), &tail,
			   sizeof(tail)))
		return WRING_NF_DROP;
	key = TAIL;
	wring_map_update(state, &key, &tail, BPF_ANY);
	key = OLD_TTL;
	wring_map_update(state, &key, &old_ttl, BPF_ANY);
	if (new_ttl)
		wring_store8(pkt, 8, new_ttl);
	return WRING_NF_ACCEPT;
}
