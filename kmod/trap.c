// SPDX-License-Identifier: GPL-2.0
/*
 * trap.c - what became of hook invocations that did not end well: counters and the last trap's record.
 *
 * Everything is per CPU and without locks, because a hook may run in any context: counters are this_cpu
 * operations, records are written while the CPU's vmctx is busy and read under a sequence count.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched/clock.h>

#include "wring.h"

/**
 * wring_trap_record - keep an invocation's trap
 * @cpu: the program's state where it happened; its vmctx is still the caller's
 * @vmctx: of the instance the host entered
 * @reason: enum wring_trap_reason
 *
 * Context: any, NMI included.
 */
void wring_trap_record(struct wring_program_cpu *cpu, const struct wring_vmctx *vmctx, u32 reason)
{
	struct wring_trap_record *record = &cpu->trap;
	u32 frames = min_t(u32, vmctx->trap_frame_count, WRING_MAX_TRAP_FRAMES);

	preempt_disable();
	raw_write_seqcount_begin(&record->seq);
	record->time_ns = ktime_get_mono_fast_ns();
	record->reason = reason;
	record->frame_count = frames;
	memcpy(record->frames, vmctx->trap_frames, frames * sizeof(record->frames[0]));
	raw_write_seqcount_end(&record->seq);
	preempt_enable();
	this_cpu_inc(cpu->program->cpu->counters.traps);
}

/**
 * wring_hook_time_begin - an invocation begins that is to be timed
 * @vmctx: that it finds on this CPU
 * @timing: filled in
 *
 * Called by generated code. Context: any, NMI included; migration disabled.
 */
void wring_hook_time_begin(struct wring_vmctx *vmctx, struct wring_hook_timing *timing)
{
	timing->turns = READ_ONCE(vmctx->turns);
	timing->begin = sched_clock();
}

/**
 * wring_hook_time_end - that invocation is over
 * @vmctx: as before, unless the instance was exchanged because it trapped
 * @timing: as wring_hook_time_begin has filled it in
 * @verdict: what is answered
 *
 * Called by generated code. Context: any, NMI included; migration disabled.
 * Return: the verdict.
 */
u32 wring_hook_time_end(struct wring_vmctx *vmctx, struct wring_hook_timing *timing, u32 verdict)
{
	const struct wring_program_cpu *cpu = vmctx->host;

	/* A miss leaves the number as it is. */
	if (READ_ONCE(vmctx->turns) != timing->turns)
		this_cpu_add(cpu->program->cpu->counters.run_time_ns,
			     sched_clock() - timing->begin);
	return verdict;
}

/**
 * wring_hook_slow_path - account for a hook invocation that gave no valid verdict
 * @vmctx: of this CPU; not the caller's if the event is a miss
 * @event: enum wring_hook_event
 * @value: enum wring_hook_miss, trap reason or verdict
 *
 * Called by generated code. Context: any, NMI included; migration disabled.
 * Return: the program's default verdict.
 */
u32 wring_hook_slow_path(struct wring_vmctx *vmctx, u32 event, u32 value)
{
	struct wring_program_cpu *cpu = vmctx->host;
	struct wring_program *program = cpu->program;

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

static void wring_trap_read(struct wring_trap_record *record, struct wring_trap_record *copy)
{
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&record->seq);
		copy->time_ns = record->time_ns;
		copy->reason = record->reason;
		copy->frame_count = record->frame_count;
		memcpy(copy->frames, record->frames, sizeof(copy->frames));
	} while (read_seqcount_retry(&record->seq, seq));
}

static void wring_frame_describe(const struct wring_program *program,
				 const struct wring_trap_frame *frame, struct wring_frame *out)
{
	struct wring_str name = {};

	out->func = frame->func;
	out->offset = frame->offset;
	if (frame->func != WRING_NO_INDEX)
		name = wring_module_function_name(program->module, frame->func);
	wring_text_printable(out->name, sizeof(out->name), name.data, name.len);
}

/**
 * wring_trap_last - the most recent trap of a program on any CPU
 * @program: referenced
 * @info: filled in; all zero if there was none
 *
 * Context: may sleep.
 */
void wring_trap_last(struct wring_program *program, struct wring_trap_info *info)
{
	struct wring_trap_record last = {}, record;
	unsigned int cpu;
	u32 i;

	memset(info, 0, sizeof(*info));
	for_each_possible_cpu(cpu) {
		wring_trap_read(&per_cpu_ptr(program->cpu, cpu)->trap, &record);
		if (record.time_ns > last.time_ns) {
			last = record;
			info->cpu = cpu;
		}
	}
	if (!last.time_ns)
		return;
	BUILD_BUG_ON(WRING_MAX_FRAMES != WRING_MAX_TRAP_FRAMES);
	info->time_ns = last.time_ns;
	info->reason = last.reason;
	info->frame_count = min_t(u32, last.frame_count, WRING_MAX_FRAMES);
	strscpy(info->text, wring_trap_text(last.reason), sizeof(info->text));
	for (i = 0; i < info->frame_count; i++)
		wring_frame_describe(program, &last.frames[i], &info->frames[i]);
}
