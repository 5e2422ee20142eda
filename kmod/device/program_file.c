// SPDX-License-Identifier: GPL-2.0
/*
 * program_file.c - a program's file, and the commands on it: information, code, runs.
 */
#include <linux/anon_inodes.h>
#include <linux/bpf.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "device/command.h"
#include "device/programs.h"
#include "hooks/family.h"
#include "host/map.h"
#include "mem/mem.h"
#include "policy/policy.h"
#include "unit/invoke.h"
#include "unit/program.h"
#include "unit/trap.h"

/* ---- commands ---- */

static int wring_program_unload(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	const struct wring_prog_unload *unload = arg;

	if (unload->flags || unload->reserved)
		return -EINVAL;
	return wring_may_run(program->unit.family, &call->report) ?:
		       wring_program_unkeep(program, true);
}

static void wring_program_sum(struct wring_program *program, struct wring_prog_info *info)
{
	const struct wring_program_cpu *state;
	struct wring_usage usage;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		wring_program_usage(program, cpu, &usage);
		info->runs += usage.runs;
		info->fuel_used += usage.fuel;
		info->run_time_ns += READ_ONCE(state->counters.run_time_ns);
		info->traps += READ_ONCE(state->counters.traps);
		info->misses_busy += READ_ONCE(state->counters.misses[WRING_MISS_BUSY]);
		info->misses_fpu += READ_ONCE(state->counters.misses[WRING_MISS_NO_FPU]);
		info->misses_depth += READ_ONCE(state->counters.misses[WRING_MISS_TOO_DEEP]);
		info->misses_reset += READ_ONCE(state->counters.misses[WRING_MISS_RESET]);
		info->misses_read_only += READ_ONCE(state->counters.misses[WRING_MISS_READ_ONLY]);
		info->bad_verdicts += READ_ONCE(state->counters.bad_verdicts);
		info->linmem_bytes += wring_program_memory(program, cpu);
	}
	info->misses = info->misses_busy + info->misses_fpu + info->misses_depth +
		       info->misses_reset + info->misses_read_only;
}

static int wring_program_map_ids(const struct wring_program *program,
				 const struct wring_prog_info *info)
{
	u32 __user *ids = u64_to_user_ptr(info->map_ids);
	u32 i;

	for (i = 0; i < min(program->unit.map_count, info->map_room); i++) {
		if (put_user(program->unit.maps[i].map->id, ids + i))
			return -EFAULT;
	}
	return 0;
}

static int wring_program_info(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	struct wring_prog_info *info = arg;
	u32 room = info->map_room;
	u64 ids = info->map_ids;
	int err;

	if (info->reserved)
		return -EINVAL;
	err = wring_program_map_ids(program, info);
	if (err)
		return err;
	memset(info, 0, sizeof(*info));
	info->map_room = room;
	info->map_ids = ids;
	info->id = program->unit.id;
	info->type = program->type;
	info->flags = (READ_ONCE(program->keep) ? WRING_PROG_F_KEEP : 0) |
		      (program->unit.clamped ? WRING_PROG_F_CLAMPED : 0);
	info->default_verdict = program->default_verdict;
	info->load_time_ns = program->unit.load_time_ns;
	info->compile_ns = program->unit.compile_ns;
	info->module_bytes = program->unit.module_bytes;
	info->code_bytes = wring_text_bytes(program->unit.text);
	if (wring_may_see_addresses())
		info->code_address = (unsigned long)wring_text_address(program->unit.text);
	info->fuel = program->unit.fuel;
	info->time_us = program->unit.time_us;
	info->on_trap = program->on_trap;
	info->trap_limit = program->trap_limit;
	info->timeout_limit = program->timeout_limit;
	info->instances = program->instance_count;
	info->links = atomic_read(&program->links);
	info->map_count = program->unit.map_count;
	info->uid = from_kuid_munged(current_user_ns(), program->unit.uid);
	memcpy(info->tag, program->unit.tag, sizeof(info->tag));
	strscpy(info->name, program->unit.name, sizeof(info->name));
	strscpy(info->entry, program->entry_name, sizeof(info->entry));
	wring_program_sum(program, info);
	wring_trap_last(program, &info->trap);
	return 0;
}

static int wring_program_code(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	struct wring_prog_code *code = arg;
	u64 bytes = wring_text_bytes(program->unit.text);
	int err;

	if (code->reserved)
		return -EINVAL;
	err = wring_may_read_code();
	if (err)
		return err;
	if (copy_to_user(u64_to_user_ptr(code->buffer), wring_text_address(program->unit.text),
			 min(bytes, code->bytes)))
		return -EFAULT;
	code->bytes = bytes;
	code->address = (unsigned long)wring_text_address(program->unit.text);
	return 0;
}

static int wring_program_module(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	struct wring_str bytes = wring_module_bytes(program->unit.module);
	struct wring_prog_module *module = arg;

	if (module->reserved)
		return -EINVAL;
	if (copy_to_user(u64_to_user_ptr(module->buffer), bytes.data,
			 min_t(u64, bytes.len, module->bytes)))
		return -EFAULT;
	module->bytes = bytes.len;
	return 0;
}

static int wring_program_run(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	const struct wring_family *family = program->unit.family;
	struct wring_prog_run *run = arg;

	if (run->flags || run->reserved)
		return wring_report_set(&call->report, -EINVAL, "unknown flags");
	if (!family || !family->ops->run)
		return wring_report_set(&call->report, -EOPNOTSUPP,
					"this type of program has no test run");
	return wring_may_run(family, &call->report) ?:
		       family->ops->run(program, run, &call->report);
}

static int wring_program_invokee(struct wring_call *call, struct wring_invokee *target)
{
	struct wring_program *program = call->file->private_data;
	struct wring_program_cpu *state;

	if (program->type != WRING_PROG_MODULE)
		return wring_report_set(&call->report, -EOPNOTSUPP,
					"exports of a hook's program cannot be invoked");
	state = per_cpu_ptr(program->cpu, cpumask_first(cpu_possible_mask));
	*target = (struct wring_invokee) {
		.unit = &program->unit,
		.instance = state->instance,
		.lock = &program->invoke_lock,
		.stack = &state->stack,
		.cpu = state,
	};
	return 0;
}

static int wring_program_invoke(struct wring_call *call, void *arg)
{
	struct wring_invokee target;

	return wring_program_invokee(call, &target) ?: wring_may_run(NULL, &call->report) ?:
		       wring_invokee_invoke(&target, arg, &call->report);
}

static int wring_program_export(struct wring_call *call, void *arg)
{
	struct wring_invokee target;

	return wring_program_invokee(call, &target) ?:
		       wring_invokee_export(&target, arg, &call->report);
}

static const struct wring_command wring_program_commands[] = {
	WRING_COMMAND(WRING_IOC_PROG_INFO, struct wring_prog_info, trap,
		      .handle = wring_program_info),
	WRING_COMMAND(WRING_IOC_PROG_CODE, struct wring_prog_code, reserved,
		      .handle = wring_program_code),
	WRING_COMMAND(WRING_IOC_PROG_MODULE, struct wring_prog_module, reserved,
		      .handle = wring_program_module),
	WRING_COMMAND(WRING_IOC_PROG_UNLOAD, struct wring_prog_unload, reserved,
		      .handle = wring_program_unload),
	WRING_COMMAND(WRING_IOC_PROG_RUN, struct wring_prog_run, reserved,
		      .handle = wring_program_run, WRING_ERROR_FIELDS(struct wring_prog_run)),
	WRING_COMMAND(WRING_IOC_INVOKE, struct wring_invoke, reserved,
		      .handle = wring_program_invoke, WRING_ERROR_FIELDS(struct wring_invoke)),
	WRING_COMMAND(WRING_IOC_EXPORT_GET, struct wring_export_get, results,
		      .handle = wring_program_export, WRING_ERROR_FIELDS(struct wring_export_get)),
};

static long wring_program_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return wring_command_run(file, wring_program_commands, ARRAY_SIZE(wring_program_commands),
				 cmd, arg);
}

/* ---- the file ---- */

static int wring_program_release(struct inode *inode, struct file *file)
{
	wring_program_put(file->private_data);
	return 0;
}

static void wring_program_show_fdinfo(struct seq_file *seq, struct file *file)
{
	const struct wring_program *program = file->private_data;

	seq_printf(seq, "wring_prog_id:\t%u\n", program->unit.id);
	seq_printf(seq, "wring_prog_type:\t%u\n", program->type);
	seq_printf(seq, "wring_prog_name:\t%s\n", program->unit.name);
	seq_printf(seq, "wring_prog_tag:\t%8phN\n", program->unit.tag);
}

static const struct file_operations wring_program_fops = {
	.owner = THIS_MODULE,
	.release = wring_program_release,
	.unlocked_ioctl = wring_program_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = wring_program_show_fdinfo,
	.llseek = noop_llseek,
};

int wring_program_file_new(struct wring_call *call, struct wring_program *program)
{
	struct file *file = anon_inode_getfile("[wring-prog]", &wring_program_fops, program,
					       O_RDWR | O_CLOEXEC);

	if (IS_ERR(file))
		return wring_report_set(&call->report, PTR_ERR(file), "no file for the program");
	call->new_file = file;
	return 0;
}

struct wring_program *wring_program_get_fd(int fd)
{
	struct wring_program *program;
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	program = ERR_PTR(-EINVAL);
	if (file->f_op == &wring_program_fops) {
		program = file->private_data;
		wring_program_get(program);
	}
	fput(file);
	return program;
}
