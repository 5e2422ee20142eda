// SPDX-License-Identifier: GPL-2.0
// A module with two programs, of which `wring prog load` has to be told one.
// wring: no eBPF twin (it is the loader's choice that is tested).
#include <wring.h>

WRING_LICENSE("GPL");

WRING_MAP(shared, ARRAY, u32, u64, 2);

WRING_XDP(first, pkt)
{
	wring_map_add(shared, 0, 1);
	return XDP_DROP;
}

WRING_XDP(second, pkt)
{
	wring_map_add(shared, 1, 1);
	wring_store8(pkt, 0, 0x42);
	return XDP_TX;
}
