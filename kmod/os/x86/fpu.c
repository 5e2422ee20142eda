// SPDX-License-Identifier: GPL-2.0
/*
 * fpu.c - when generated code may use vector registers: between the kernel's own brackets, which save what user space
 * has in them and set MXCSR to its default.
 */
#include <linux/preempt.h>
#include <asm/fpu/api.h>

#include "core/platform.h"
#include "os/os.h"

u32 wring_hook_fpu_begin(void)
{
	/* An NMI may interrupt the saving itself; irq_fpu_usable warns of the question. */
	if (in_nmi() || !irq_fpu_usable())
		return 0;
	kernel_fpu_begin_mask(KFPU_MXCSR);
	return 1;
}

void wring_hook_fpu_end(void)
{
	kernel_fpu_end();
}

void wring_os_fpu_begin(void)
{
	kernel_fpu_begin_mask(KFPU_MXCSR);
}

void wring_os_fpu_end(void)
{
	kernel_fpu_end();
}
