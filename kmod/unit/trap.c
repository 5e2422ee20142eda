// SPDX-License-Identifier: GPL-2.0
/*
 * trap.c - records of traps: a program's last one, per CPU.
 *
 * Without locks, because a hook may run in any context: records are written while the CPU's vmctx is busy and read
 * under a sequence count.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/preempt.h>

#include "report.h"
#include "unit/program.h"
#include "unit/trap.h"

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
	this_cpu_inc(wring_program_of(cpu)->cpu->counters.traps);
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
		name = wring_module_function_name(program->unit.module, frame->func);
	wring_text_printable(out->name, sizeof(out->name), name.data, name.len);
}

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
