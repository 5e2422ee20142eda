// SPDX-License-Identifier: GPL-2.0
/*
 * aftermath.c - what becomes of a hook's program after its traps: its loader may have asked that the instance that
 * trapped be made anew, or that the program be detached when there have been too many.
 *
 * Neither can be done where a hook runs, which may be an NMI. There the CPU's instance is only put out of reach, and a
 * work item does the rest; meanwhile invocations on that CPU are misses.
 *
 * A work item is nobody's task: no signal ends it, and no cgroup limits it. So start functions have there what an
 * invocation of the hook has, and may not wait; and what a program lets be done takes no more than a fraction of the
 * time. It is done on a queue of its own, for what is freed must not stand behind it.
 */
#include <linux/cred.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "hooks/aftermath.h"
#include "hooks/link.h"
#include "os/os.h"
#include "unit/program.h"

/* Between attempts to make an instance anew, if there is no memory for it. */
#define RETRY_INTERVAL (HZ / 10)
/* How many times as long as they took it is until instances are made anew the next time. */
#define REST_FACTOR 8

static struct workqueue_struct *wring_aftermath_wq;

/* Any context: the program is about to run, or running, through a link or a file that holds a reference. */
static void wring_aftermath_queue(struct wring_program *program)
{
	wring_program_get(program);
	if (!irq_work_queue(&program->aftermath.irq))
		wring_program_put(program);
}

static void wring_aftermath_irq(struct irq_work *irq)
{
	struct wring_program *program = container_of(irq, struct wring_program, aftermath.irq);

	if (!queue_work(wring_aftermath_wq, &program->aftermath.work))
		wring_program_put(program);
}

static bool wring_is_timeout(u32 reason)
{
	return reason == WRING_TRAP_OutOfTime || reason == WRING_TRAP_FuelExhausted;
}

static bool wring_limit_reached(atomic_t *count, u32 limit)
{
	return limit && (u32)atomic_inc_return(count) >= limit;
}

void wring_aftermath_of_trap(struct wring_program_cpu *cpu, u32 reason)
{
	struct wring_program *program = wring_program_of(cpu);
	struct wring_aftermath *aftermath = &program->aftermath;
	bool detach = wring_limit_reached(&aftermath->traps, program->trap_limit);

	if (wring_is_timeout(reason))
		detach |= wring_limit_reached(&aftermath->timeouts, program->timeout_limit);
	if (detach)
		atomic_set(&aftermath->detach, 1);
	if (aftermath->parked)
		WRITE_ONCE(cpu->vmctx, aftermath->parked);
	if (detach || aftermath->parked)
		wring_aftermath_queue(program);
}

bool wring_aftermath_of_miss(struct wring_program *program, const struct wring_vmctx *vmctx)
{
	struct wring_aftermath *aftermath = &program->aftermath;
	unsigned long retry_at = READ_ONCE(aftermath->retry_at);

	if (!vmctx || vmctx != aftermath->parked)
		return false;
	if (retry_at && time_after(jiffies, retry_at) &&
	    cmpxchg(&aftermath->retry_at, retry_at, 0) == retry_at)
		wring_aftermath_queue(program);
	return true;
}

/* The first miss after that will see to it. */
static void wring_aftermath_retry(struct wring_aftermath *aftermath, unsigned long at)
{
	WRITE_ONCE(aftermath->retry_at, at | 1);
}

/* Makes instances anew that have been put out of reach. */
static void wring_aftermath_renew(struct wring_program *program)
{
	struct wring_aftermath *aftermath = &program->aftermath;
	struct wring_program_cpu *state;
	const struct cred *caller_cred;
	struct mem_cgroup *caller;
	unsigned int cpu;
	int err = 0;
	u64 begin;

	if (time_before(jiffies, aftermath->not_before)) {
		wring_aftermath_retry(aftermath, aftermath->not_before);
		return;
	}

	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		state->renew = READ_ONCE(state->vmctx) == aftermath->parked;
	}
	/* Invocations that have found the old one may still run on it. */
	tracepoint_synchronize_unregister();
	begin = ktime_get_ns();
	caller = set_active_memcg(aftermath->memcg);
	caller_cred = override_creds(aftermath->cred);
	for_each_possible_cpu(cpu) {
		if (!err && per_cpu_ptr(program->cpu, cpu)->renew)
			err = wring_program_renew(program, cpu);
	}
	revert_creds(caller_cred);
	set_active_memcg(caller);
	aftermath->not_before = jiffies + nsecs_to_jiffies(REST_FACTOR * (ktime_get_ns() - begin));
	if (err)
		wring_aftermath_retry(aftermath, jiffies + RETRY_INTERVAL);
}

static void wring_aftermath_work(struct work_struct *work)
{
	struct wring_program *program = container_of(work, struct wring_program, aftermath.work);

	if (atomic_xchg(&program->aftermath.detach, 0))
		wring_link_detach_all(program);
	if (program->aftermath.parked)
		wring_aftermath_renew(program);
	wring_program_put(program);
}

int wring_aftermath_setup(void)
{
	wring_aftermath_wq = alloc_workqueue("wring_aftermath", WQ_UNBOUND, 0);
	return wring_aftermath_wq ? 0 : -ENOMEM;
}

void wring_aftermath_flush(void)
{
	flush_workqueue(wring_aftermath_wq);
}

void wring_aftermath_teardown(void)
{
	destroy_workqueue(wring_aftermath_wq);
}

int wring_aftermath_init(struct wring_program *program, u32 on_trap)
{
	struct wring_aftermath *aftermath = &program->aftermath;
	struct wring_vmctx *parked;

	aftermath->irq = IRQ_WORK_INIT(wring_aftermath_irq);
	INIT_WORK(&aftermath->work, wring_aftermath_work);
	aftermath->not_before = jiffies;
	if (on_trap != WRING_ON_TRAP_RESET)
		return 0;
	aftermath->memcg = get_mem_cgroup_from_mm(current->mm);
	aftermath->cred = get_current_cred();
	parked = kzalloc(sizeof(*parked), WRING_GFP);
	if (!parked)
		return -ENOMEM;
	parked->turns = 1;	/* for ever */
	parked->host = per_cpu_ptr(program->cpu, cpumask_first(cpu_possible_mask));
	aftermath->parked = parked;
	return 0;
}

void wring_aftermath_exit(struct wring_program *program)
{
	/* Its handler has run, but may not have returned. */
	irq_work_sync(&program->aftermath.irq);
	kfree(program->aftermath.parked);
	mem_cgroup_put(program->aftermath.memcg);
	put_cred(program->aftermath.cred);
}
