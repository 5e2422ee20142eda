// SPDX-License-Identifier: GPL-2.0
/*
 * platform.c - the kernel's answers to what the engine asks of its host (core/platform.h), memory aside.
 */
#include <linux/freezer.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>
#include <asm/tsc.h>

#include "core/platform.h"
#include "os/ksyms.h"
#include "os/os.h"

/* kmalloc aligns to 16 bytes only what is a power of two, or a whole number of larger units. */
#define ODD_SIZES_END 256
/* Beyond this, contiguous pages are not worth looking for. */
#define CONTIGUOUS_MAX (8 * PAGE_SIZE)

void *wring_os_alloc(wring_size bytes)
{
	void *ptr;

	if (bytes < ODD_SIZES_END)
		bytes = max_t(size_t, 16, roundup_pow_of_two(bytes));
	if (bytes <= PAGE_SIZE)
		return kmalloc(bytes, WRING_GFP | __GFP_ZERO);
	if (bytes <= CONTIGUOUS_MAX) {
		ptr = kmalloc(bytes,
			      GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN | __GFP_ZERO);
		if (ptr)
			return ptr;
	}
	return __vmalloc(bytes, WRING_GFP | __GFP_ZERO);
}

void wring_os_free(void *ptr)
{
	kvfree(ptr);
}

int wring_os_vformat(char *buf, wring_size size, const char *fmt, __builtin_va_list args)
{
	return vsnprintf(buf, size, fmt, args);
}

DEFINE_PER_CPU(int, wring_os_pace);

/*
 * cgroup v2 freezes tasks where they return to user space, which may be long from now. One that sleeps for so long as
 * it is to be frozen counts as frozen (as in vfork, wait_for_vfork_done).
 */
static void wring_freeze_v2(void)
{
#ifdef CONFIG_CGROUPS
	wring_k_cgroup_enter_frozen();
	for (;;) {
		set_current_state(TASK_KILLABLE);
		if (!(READ_ONCE(current->jobctl) & JOBCTL_TRAP_FREEZE) ||
		    fatal_signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	wring_k_cgroup_leave_frozen(true);
#endif
}

int wring_os_yield(void)
{
	/* Guests and compilations run for long without sleeping, and tracing waits for tasks to have slept. */
	cond_resched_tasks_rcu_qs();
	/* Not try_to_freeze: locks are held, of loads and invocations, for which only others like this one wait. */
	if (unlikely(freezing(current)))
		__refrigerator(false);
	if (unlikely(READ_ONCE(current->jobctl) & JOBCTL_TRAP_FREEZE) &&
	    !fatal_signal_pending(current))
		wring_freeze_v2();
	return fatal_signal_pending(current);
}

int wring_os_in_nmi(void)
{
	return in_nmi() != 0;
}

unsigned int wring_os_cycles_per_us(void)
{
	return tsc_khz / 1000;
}
