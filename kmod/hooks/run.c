// SPDX-License-Identifier: GPL-2.0
/*
 * run.c - WRING_IOC_PROG_RUN: a hook's entry called on given input, once or often enough to
 * time it.
 */
#include <linux/bottom_half.h>
#include <linux/interrupt.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "core/platform.h"
#include "hooks/run.h"
#include "report.h"
#include "unit/program.h"

/* What one stretch without rescheduling did. */
struct wring_stretch {
	u32 runs;
	u64 ns;
	u32 verdict;
	u32 trap;
	u64 fuel_used;
};

/*
 * Whether somebody waits for the CPU, the softirqs that are kept out meanwhile among them, or the caller is to stop.
 * Where it is alone nothing makes it reschedule, not even a signal.
 */
static bool wring_run_must_pause(void)
{
	return need_resched() || local_softirq_pending() || signal_pending(current);
}

/* Runs until `most` runs are done or it must pause: always at least once. */
static void wring_run_stretch(struct wring_program *program, void *ctx, u32 most,
			      struct wring_stretch *out)
{
	const struct wring_program_cpu *state;
	u64 traps, start, turns, fuel_used;
	const struct wring_vmctx *vmctx;

	rcu_read_lock();
	local_bh_disable();
	state = this_cpu_ptr(program->cpu);
	out->runs = 0;
	start = ktime_get_ns();
	do {
		traps = READ_ONCE(state->counters.traps);
		vmctx = READ_ONCE(state->vmctx);	/* RCU protects it */
		turns = READ_ONCE(vmctx->turns);
		fuel_used = READ_ONCE(vmctx->fuel_used);
		out->verdict = program->entry(ctx);
	} while (++out->runs < most && !wring_run_must_pause());
	out->ns = ktime_get_ns() - start;
	out->fuel_used = READ_ONCE(vmctx->turns) == turns ?
				 0 :
				 READ_ONCE(vmctx->fuel_used) - fuel_used +
					 wring_code_hook_first_slice(program->unit.code);
	out->trap = READ_ONCE(state->counters.traps) != traps ? state->trap.reason :
								WRING_TRAP_None;
	local_bh_enable();
	rcu_read_unlock();
}

int wring_run_repeat(struct wring_program *program, void *ctx, struct wring_prog_run *run,
		     struct wring_report *report)
{
	u32 repeat = max(run->repeat, 1u), done = 0;
	struct wring_stretch stretch;
	u64 ns = 0;

	do {
		wring_run_stretch(program, ctx, repeat - done, &stretch);
		done += stretch.runs;
		ns += stretch.ns;
		if (signal_pending(current) || wring_os_yield())
			return wring_report_set(report, -EINTR, "interrupted after %u of %u runs",
						done, repeat);
	} while (done < repeat);
	run->verdict = stretch.verdict;
	run->trap = stretch.trap;
	run->fuel_used = stretch.fuel_used;
	run->duration_ns = div_u64(ns, repeat);
	return 0;
}

int wring_run_copy_in(const struct wring_prog_run *run, void *data, struct wring_report *report)
{
	if (copy_from_user(data, u64_to_user_ptr(run->data_in), run->data_in_bytes))
		return wring_report_set(report, -EFAULT, "data_in cannot be read");
	return 0;
}

int wring_run_copy_out(struct wring_prog_run *run, const void *data, u32 bytes,
		       struct wring_report *report)
{
	u32 room = run->data_out_bytes;

	run->data_out_bytes = bytes;
	if (run->data_out && copy_to_user(u64_to_user_ptr(run->data_out), data, min(room, bytes)))
		return wring_report_set(report, -EFAULT, "data_out cannot be written");
	return 0;
}
