// SPDX-License-Identifier: GPL-2.0
// Reads far outside its memory, two calls deep: stopped by a trap.
// wring: no eBPF twin (the verifier would refuse it).
#include <wring.h>

WRING_LICENSE("GPL");

__attribute__((noinline)) static u32 read_option(const volatile u32 *table, u32 index)
{
	return table[index];
}

__attribute__((noinline)) static u32 parse_options(u32 protocol)
{
	const volatile u32 *table = (const volatile u32 *)4096;

	/* A length nobody checked: 512 MiB on, in a memory of a few pages. */
	return read_option(table, (protocol | 0x80) << 20) + 1;
}

WRING_XDP(out_of_bounds, pkt)
{
	return parse_options(wring_load8(pkt, 12)) ? XDP_DROP : XDP_PASS;
}
