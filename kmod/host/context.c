// SPDX-License-Identifier: GPL-2.0
/*
 * context.c - host functions about where the guest runs: its memory, the time, the CPU, the task.
 */
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include "core/engine.h"
#include "host/functions.h"

void *wring_guest_bytes(struct wring_vmctx *vmctx, u32 ptr, u64 len)
{
	if (!vmctx->memory || len > vmctx->memory->bytes || ptr > vmctx->memory->bytes - len) {
		vmctx->trap_reason = WRING_TRAP_MemoryOutOfBounds;
		return NULL;
	}
	return vmctx->memory->base + ptr;
}

u64 wring_host_ktime_ns(struct wring_vmctx *vmctx)
{
	return ktime_get_mono_fast_ns();
}

u32 wring_host_cpu_id(struct wring_vmctx *vmctx)
{
	return raw_smp_processor_id();
}

u64 wring_host_pid_tgid(struct wring_vmctx *vmctx)
{
	return (u64)current->tgid << 32 | current->pid;
}
