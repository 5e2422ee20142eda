// SPDX-License-Identifier: GPL-2.0
/*
 * entry.c - a program's native entry at its hook: how the compiler is to make it, and what it calls when an invocation
 * is timed or did not end well.
 *
 * A hook may run in any context, so counters are this_cpu operations.
 */
#include <linux/filter.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>

#include "hooks/aftermath.h"
#include "hooks/entry.h"
#include "hooks/family.h"
#include "hooks/stack.h"
#include "os/os.h"
#include "unit/program.h"
#include "unit/trap.h"

/* ---- called by generated code, with migration disabled: any context, NMI included ---- */

static void wring_hook_time_begin(struct wring_vmctx *vmctx, struct wring_hook_timing *timing)
{
	timing->turns = READ_ONCE(vmctx->turns);
	timing->begin = sched_clock();
}

static u32 wring_hook_time_end(struct wring_vmctx *vmctx, struct wring_hook_timing *timing,
			       u32 verdict)
{
	struct wring_program *program = wring_program_of(wring_program_cpu(vmctx));

	/* A miss leaves the number as it is. */
	if (READ_ONCE(vmctx->turns) != timing->turns)
		this_cpu_add(program->cpu->counters.run_time_ns, sched_clock() - timing->begin);
	return verdict;
}

static u32 wring_hook_slow_path(struct wring_vmctx *vmctx, u32 event, u32 value)
{
	struct wring_program_cpu *cpu = wring_program_cpu(vmctx);
	struct wring_program *program = wring_program_of(cpu);

	switch (event) {
	case WRING_HOOK_MISS:
		if (wring_aftermath_of_miss(program, vmctx))
			value = WRING_MISS_RESET;
		this_cpu_inc(program->cpu->counters.misses[value]);
		break;
	case WRING_HOOK_TRAP:
		wring_trap_record(cpu, vmctx, value);
		wring_aftermath_of_trap(cpu, value);
		break;
	case WRING_HOOK_BAD_VERDICT:
		this_cpu_inc(program->cpu->counters.bad_verdicts);
		break;
	}
	return program->default_verdict;
}

/* ---- the description ---- */

void wring_hook_entry_describe(const struct wring_program *program, struct wring_hook_entry *entry)
{
	const struct wring_family *family = program->unit.family;

	*entry = (struct wring_hook_entry) {
		.layout = family->ops->layout,
		.func = program->entry_func,
		.default_verdict = program->default_verdict,
		.verdict_min = family->verdict_min,
		.verdict_max = family->verdict_max,
		.percpu_vmctx = (__force unsigned long)&program->cpu->vmctx,
		.fuel = program->unit.fuel,
		.is_timed = (unsigned long)&bpf_stats_enabled_key.key.enabled,
		.time_begin = (unsigned long)wring_hook_time_begin,
		.time_end = (unsigned long)wring_hook_time_end,
		.may_nest = family->contexts == WRING_HOOK_ANYWHERE,
		.private_stack = program->private_stack,
		.slow_path = (unsigned long)wring_hook_slow_path,
		.fpu_begin = (unsigned long)wring_hook_fpu_begin,
		.fpu_end = (unsigned long)wring_hook_fpu_end,
	};
	wring_hook_stacks_describe(entry);
}
