// SPDX-License-Identifier: GPL-2.0
// Keeps the tracepoint's arguments, existing or not, when the current process is the one of
// `wanted`[0]. wring: no eBPF twin (the verifier wants to know which arguments are read).
#include <wring.h>

WRING_LICENSE("GPL");

WRING_MAP(wanted, ARRAY, u32, u64, 1);
WRING_MAP(seen, ARRAY, u32, u64, 16);

WRING_RAW_TP(sys_enter, keep, tp)
{
	u32 i;

	if (wring_pid_tgid() >> 32 != wring_map_load(wanted, 0))
		return 0;
	for (i = 0; i < 15; i++) {
		u64 argument = wring_arg(tp, i);

		wring_map_update(seen, &i, &argument, BPF_ANY);
	}
	wring_map_add(seen, 15, 1);
	return 0;
}
