// SPDX-License-Identifier: GPL-2.0
// Counts system calls by number, at the sys_enter raw tracepoint.
#include <wring.h>

WRING_LICENSE("GPL");

enum { MAX_SYSCALLS = 512 };

WRING_MAP(syscalls, PERCPU_ARRAY, u32, u64, MAX_SYSCALLS);

/* The tracepoint's arguments: struct pt_regs *regs, long id. */
WRING_RAW_TP(sys_enter, count, tp)
{
	wring_map_add(syscalls, wring_arg(tp, 1), 1);
	return 0;
}
