// SPDX-License-Identifier: GPL-2.0
/*
 * instances.c - a program's instances, one per CPU that may run it: making, exchanging, counting.
 */
#include <linux/percpu.h>

#include "core/platform.h"
#include "hooks/family.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/os.h"
#include "report.h"
#include "unit/build.h"
#include "unit/program.h"

int wring_program_alloc_cpus(struct wring_program *program, struct wring_report *report)
{
	struct wring_program_cpu *state;
	unsigned int cpu;

	program->cpu = alloc_percpu_gfp(struct wring_program_cpu, WRING_GFP);
	if (!program->cpu)
		return wring_report_set(report, -ENOMEM, "out of memory");
	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		state->owner.unit = &program->unit;
		seqcount_init(&state->trap.seq);
	}
	return 0;
}

/* An instance and its stack, if it has one of its own. */
struct wring_made {
	struct wring_instance *instance;
	void *stack;
};

static void wring_made_put(struct wring_made *made)
{
	if (made->instance)
		wring_instance_put(made->instance);
	wring_stack_free(made->stack);
}

void wring_program_free_cpus(struct wring_program *program)
{
	struct wring_program_cpu *state;
	struct wring_made made;
	unsigned int cpu;

	if (!program->cpu)
		return;
	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		made = (struct wring_made) { state->instance, state->stack };
		wring_made_put(&made);
	}
	free_percpu(program->cpu);
}

/* What is made so far is to be put in any case. Its start function may take this much fuel. */
static int wring_made_get(struct wring_program *program, struct wring_program_cpu *state, u64 fuel,
			  struct wring_made *made, struct wring_report *report)
{
	const struct wring_unit *unit = &program->unit;
	struct wring_vmctx *vmctx;
	int err;

	if (program->private_stack || wring_module_start(unit->module) != WRING_NO_INDEX) {
		made->stack = wring_stack_alloc(unit->stack_bytes, WRING_GFP);
		if (!made->stack)
			return wring_report_set(report, -ENOMEM,
						"no memory for a stack of %u bytes",
						unit->stack_bytes);
	}
	err = wring_unit_instantiate(unit, NULL, 0, &state->owner, made->stack, fuel,
				     &made->instance, report);
	if (err || !unit->family)
		return err;
	wring_instance_usage_reset(made->instance);
	vmctx = wring_instance_vmctx(made->instance);
	vmctx->time_slice = (u64)unit->time_us * wring_os_cycles_per_us();
	if (!program->private_stack) {
		wring_stack_free(made->stack);
		made->stack = NULL;
	} else if (wring_instance_set_stack(made->instance, made->stack, unit->stack_bytes)) {
		return wring_report_set(report, -EINVAL, "a stack of %u bytes is too small",
					unit->stack_bytes);
	}
	return 0;
}

/* Puts a ready instance where the CPU's hooks find it; *made becomes the one that was there. */
static void wring_made_exchange(struct wring_program *program, struct wring_program_cpu *state,
				struct wring_made *made)
{
	struct wring_vmctx *vmctx = wring_instance_vmctx(made->instance);
	struct wring_usage usage;

	mutex_lock(&program->instances_lock);
	if (state->instance) {
		wring_instance_usage(state->instance, &usage);
		state->past.runs += usage.runs;
		state->past.fuel += usage.fuel;
	}
	swap(state->instance, made->instance);
	swap(state->stack, made->stack);
	/* Not before: start functions have no arguments to read. */
	vmctx->hook_arg_count = program->arg_count;
	smp_store_release(&state->vmctx, vmctx);
	mutex_unlock(&program->instances_lock);
}

static int wring_program_instantiate_on(struct wring_program *program, unsigned int cpu, u64 fuel,
					struct wring_report *report)
{
	struct wring_program_cpu *state = per_cpu_ptr(program->cpu, cpu);
	struct wring_made made = {};
	int err;

	err = wring_made_get(program, state, fuel, &made, report);
	if (!err)
		wring_made_exchange(program, state, &made);
	wring_made_put(&made);
	return err;
}

int wring_program_instantiate(struct wring_program *program, struct wring_report *report)
{
	unsigned int cpu;
	int err;

	for_each_possible_cpu(cpu) {
		err = wring_program_instantiate_on(program, cpu, WRING_RUN_FUEL, report);
		if (!err)
			program->instance_count++;
		if (err || !program->unit.family)
			return err;
		if (wring_os_yield())
			return wring_report_set(report, -EINTR, "interrupted");
	}
	return 0;
}

int wring_program_renew(struct wring_program *program, unsigned int cpu)
{
	struct wring_report report = {};

	return wring_program_instantiate_on(program, cpu, program->unit.fuel, &report);
}

void wring_program_set_args(struct wring_program *program, u32 count)
{
	const struct wring_program_cpu *state;
	unsigned int cpu;

	mutex_lock(&program->instances_lock);
	program->arg_count = count;
	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		WRITE_ONCE(wring_instance_vmctx(state->instance)->hook_arg_count, count);
	}
	mutex_unlock(&program->instances_lock);
}

void wring_program_usage(struct wring_program *program, unsigned int cpu, struct wring_usage *out)
{
	const struct wring_program_cpu *state = per_cpu_ptr(program->cpu, cpu);

	memset(out, 0, sizeof(*out));
	mutex_lock(&program->instances_lock);
	if (state->instance)
		wring_instance_usage(state->instance, out);
	out->runs += state->past.runs;
	out->fuel += state->past.fuel;
	mutex_unlock(&program->instances_lock);
}

u64 wring_program_memory(struct wring_program *program, unsigned int cpu)
{
	const struct wring_program_cpu *state = per_cpu_ptr(program->cpu, cpu);
	u64 bytes = 0;

	mutex_lock(&program->instances_lock);
	if (state->instance)
		bytes = wring_instance_memory_bytes(state->instance);
	mutex_unlock(&program->instances_lock);
	return bytes;
}
