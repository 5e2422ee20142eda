// SPDX-License-Identifier: GPL-2.0
// Floats and vectors at every kind of hook: each run repeats what the test has computed, and counts itself and what
// came out wrong. wring: no eBPF twin (eBPF has no floats).
#include <wring.h>

#include "fpu_work.h"

WRING_LICENSE("GPL");

enum { SEED, ROUNDS, EXPECTED, RUNS, WRONG, MAX };
WRING_MAP(state, ARRAY, u32, u64, MAX);

wring_inline void work(void)
{
	u64 result = fpu_work((u32)wring_map_load(state, SEED), (u32)wring_map_load(state, ROUNDS));

	wring_map_add(state, RUNS, 1);
	if (result != wring_map_load(state, EXPECTED))
		wring_map_add(state, WRONG, 1);
}

WRING_XDP(fpu_xdp, pkt)
{
	work();
	return XDP_PASS;
}

WRING_RAW_TP(sys_enter, fpu_tracepoint, tp)
{
	work();
	return 0;
}

WRING_NETFILTER(fpu_netfilter, pkt)
{
	work();
	return WRING_NF_ACCEPT;
}
