// SPDX-License-Identifier: GPL-2.0
// A module that is for no hook, built with debug information. wring: no eBPF twin (eBPF programs are for hooks).
#include <wring.h>

__attribute__((export_name("divide"))) u32 divide(u32 divisor)
{
	return 1000 / divisor; /* line 7 */
}
