// SPDX-License-Identifier: GPL-2.0
// Drops UDP to one port and counts packets per protocol: IPv4 and IPv6 over Ethernet.
#include <wring.h>

WRING_LICENSE("GPL");

enum { COUNT_OTHER, COUNT_ARP, COUNT_ICMP, COUNT_TCP, COUNT_UDP, COUNT_BLOCKED, COUNT_MAX };

/* Packets by COUNT_*; COUNT_UDP leaves out the blocked ones. */
WRING_MAP(counters, PERCPU_ARRAY, u32, u64, COUNT_MAX);
/* Element 0: the blocked port, 0 for none. */
WRING_MAP(config, ARRAY, u32, u64, 1);

wring_inline u32 counted(u32 which, u32 verdict)
{
	wring_map_add(counters, which, 1);
	return verdict;
}

WRING_XDP(filter, pkt)
{
	const struct wring_eth wring_hdr *eth = wring_header(pkt, 0, struct wring_eth);
	const struct wring_ipv4 wring_hdr *ip;
	const struct wring_ipv6 wring_hdr *ip6;
	const struct wring_udp wring_hdr *udp;
	u32 off = sizeof(struct wring_eth);
	u32 protocol, bytes;

	switch (wring_field(eth->type)) {
	case wring_htons(WRING_ETH_IPV4):
		ip = wring_header(pkt, off, struct wring_ipv4);
		bytes = wring_ipv4_bytes(wring_field(ip->version_ihl));
		/* Only the first fragment has ports. */
		if (bytes < sizeof(struct wring_ipv4) ||
		    wring_field(ip->frag_off) & wring_htons(WRING_IPV4_FRAG_OFFSET))
			return counted(COUNT_OTHER, XDP_PASS);
		protocol = wring_field(ip->protocol);
		off += bytes;
		break;
	case wring_htons(WRING_ETH_IPV6):
		ip6 = wring_header(pkt, off, struct wring_ipv6);
		protocol = wring_field(ip6->nexthdr);
		off += sizeof(struct wring_ipv6);
		break;
	case wring_htons(WRING_ETH_ARP):
		return counted(COUNT_ARP, XDP_PASS);
	default:
		return counted(COUNT_OTHER, XDP_PASS);
	}

	switch (protocol) {
	case WRING_IPPROTO_UDP:
		udp = wring_header(pkt, off, struct wring_udp);
		if (wring_ntohs(wring_field(udp->dest)) == wring_map_load(config, 0))
			return counted(COUNT_BLOCKED, XDP_DROP);
		return counted(COUNT_UDP, XDP_PASS);
	case WRING_IPPROTO_TCP:
		return counted(COUNT_TCP, XDP_PASS);
	case WRING_IPPROTO_ICMP:
	case WRING_IPPROTO_ICMPV6:
		return counted(COUNT_ICMP, XDP_PASS);
	default:
		return counted(COUNT_OTHER, XDP_PASS);
	}
}
