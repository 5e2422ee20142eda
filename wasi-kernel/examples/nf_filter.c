// SPDX-License-Identifier: GPL-2.0
// Drops UDP to one port at a netfilter hook and counts packets per verdict: IPv4 and IPv6.
// wring: no eBPF twin (Linux 6.1 has no eBPF program type for netfilter).
#include <wring.h>

WRING_LICENSE("GPL");

WRING_MAP(verdicts, PERCPU_ARRAY, u32, u64, 2);
/* Element 0: the blocked port, 0 for none. */
WRING_MAP(config, ARRAY, u32, u64, 1);

wring_inline u32 blocked(const struct wring_packet *pkt, u32 off)
{
	const struct wring_udp wring_hdr *udp = wring_header(pkt, off, struct wring_udp);

	return wring_ntohs(wring_field(udp->dest)) == wring_map_load(config, 0);
}

wring_inline u32 decide(const struct wring_packet *pkt)
{
	u8 first = wring_load8(pkt, 0);

	if (first >> 4 == 4) {
		const struct wring_ipv4 wring_hdr *ip = wring_header(pkt, 0, struct wring_ipv4);

		if (wring_field(ip->protocol) == WRING_IPPROTO_UDP &&
		    !(wring_field(ip->frag_off) & wring_htons(WRING_IPV4_FRAG_OFFSET)) &&
		    blocked(pkt, wring_ipv4_bytes(first)))
			return WRING_NF_DROP;
	} else {
		const struct wring_ipv6 wring_hdr *ip = wring_header(pkt, 0, struct wring_ipv6);

		if (wring_field(ip->nexthdr) == WRING_IPPROTO_UDP &&
		    blocked(pkt, sizeof(struct wring_ipv6)))
			return WRING_NF_DROP;
	}
	return WRING_NF_ACCEPT;
}

WRING_NETFILTER(filter, pkt)
{
	u32 verdict = decide(pkt);

	wring_map_add(verdicts, verdict, 1);
	return verdict;
}
