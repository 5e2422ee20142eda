// SPDX-License-Identifier: GPL-2.0
/*
 * program.c - the registry of loaded programs: ids, references, file descriptors, information.
 */
#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ksyms.h"
#include "wring.h"

static DEFINE_MUTEX(wring_program_lock);
/* Under the lock. A program stays in it until it is freed, so one found there may have no references left. */
static DEFINE_IDR(wring_programs);
static u32 wring_programs_loaded;

/* ---- references ---- */

static void wring_program_free_work(struct work_struct *work)
{
	struct wring_program *program =
		container_of(to_rcu_work(work), struct wring_program, free_work);

	mutex_lock(&wring_program_lock);
	idr_remove(&wring_programs, program->id);
	wring_programs_loaded--;
	mutex_unlock(&wring_program_lock);
	wring_program_destroy(program);
	kfree(program);
}

/**
 * wring_program_put - drop a reference
 * @program: freed with the last one, after an RCU grace period
 *
 * Context: any.
 */
void wring_program_put(struct wring_program *program)
{
	if (!refcount_dec_and_test(&program->refs))
		return;
	wring_audit(program->id, program->tag, "UNLOAD");
	INIT_RCU_WORK(&program->free_work, wring_program_free_work);
	queue_rcu_work(wring_wq, &program->free_work);
}

/**
 * wring_program_get_fd - the program behind a file descriptor
 * @fd: of the calling process
 *
 * Context: process context.
 * Return: the program, referenced, or an ERR_PTR: -EBADF, -EINVAL if it is no program's.
 */
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

/**
 * wring_program_link - count a link of a program
 * @program: referenced; gets one more reference
 *
 * Context: process context.
 * Return: 0, or -EBUSY if the module is being removed.
 */
int wring_program_link(struct wring_program *program)
{
	if (!try_module_get(THIS_MODULE))
		return -EBUSY;
	wring_program_get(program);
	atomic_inc(&program->links);
	return 0;
}

/**
 * wring_program_unlink - undo wring_program_link
 * @program: no hook runs it through that link any more
 *
 * Context: any.
 */
void wring_program_unlink(struct wring_program *program)
{
	atomic_dec(&program->links);
	wring_program_put(program);
	module_put(THIS_MODULE);
}

/* ---- files ---- */

static int wring_program_release(struct inode *inode, struct file *file)
{
	wring_program_put(file->private_data);
	return 0;
}

static void wring_program_show_fdinfo(struct seq_file *seq, struct file *file)
{
	const struct wring_program *program = file->private_data;

	seq_printf(seq, "wring_prog_id:\t%u\n", program->id);
	seq_printf(seq, "wring_prog_type:\t%u\n", program->type);
	seq_printf(seq, "wring_prog_name:\t%s\n", program->name);
	seq_printf(seq, "wring_prog_tag:\t%8phN\n", program->tag);
}

/* Takes over the caller's reference, unless it fails. */
static int wring_program_file_new(struct wring_call *call, struct wring_program *program)
{
	struct file *file = anon_inode_getfile("[wring-prog]", &wring_program_fops, program,
					       O_RDWR | O_CLOEXEC);

	if (IS_ERR(file))
		return wring_report_set(&call->report, PTR_ERR(file), "no file for the program");
	call->new_file = file;
	return 0;
}

/* ---- loading ---- */

static bool wring_name_valid(const char *name)
{
	size_t len = strnlen(name, WRING_NAME_LEN), i;

	for (i = 0; i < len; i++) {
		if (!isascii(name[i]) || (!isalnum(name[i]) && !strchr("_.-", name[i])))
			return false;
	}
	return len && len < WRING_NAME_LEN;
}

/* The limits that the command may set, all of them zero for a default. */
static int wring_load_check_limits(const struct wring_prog_load *load, bool hook,
				   struct wring_report *report)
{
	u64 max_fuel = hook ? WRING_MAX_HOOK_FUEL : U64_MAX;

	if (load->max_memory_pages > WRING_MAX_MEMORY_PAGES)
		return wring_report_set(report, -EINVAL, "max_memory_pages: the most is %u",
					WRING_MAX_MEMORY_PAGES);
	if (load->max_table_entries > WRING_MAX_TABLE_ENTRIES)
		return wring_report_set(report, -EINVAL, "max_table_entries: the most is %u",
					WRING_MAX_TABLE_ENTRIES);
	if (load->max_code_bytes > WRING_MAX_CODE_BYTES)
		return wring_report_set(report, -EINVAL, "max_code_bytes: the most is %u",
					WRING_MAX_CODE_BYTES);
	if (load->stack_bytes &&
	    (load->stack_bytes < WRING_MIN_STACK_BYTES ||
	     load->stack_bytes > WRING_MAX_STACK_BYTES || load->stack_bytes % PAGE_SIZE))
		return wring_report_set(report, -EINVAL,
					"stack_bytes: whole pages between %u and %u",
					WRING_MIN_STACK_BYTES, WRING_MAX_STACK_BYTES);
	if (load->time_us > WRING_MAX_HOOK_TIME_US || (load->time_us && !hook))
		return wring_report_set(report, -EINVAL,
					"time_us: the most is %u, and only hooks have a limit",
					WRING_MAX_HOOK_TIME_US);
	if (!hook && (load->on_trap || load->trap_limit || load->timeout_limit))
		return wring_report_set(report, -EINVAL,
					"on_trap, trap_limit, timeout_limit: only of hooks");
	if (load->on_trap > WRING_ON_TRAP_DETACH)
		return wring_report_set(report, -EINVAL, "on_trap: no such action");
	if (load->trap_limit && load->on_trap != WRING_ON_TRAP_DETACH)
		return wring_report_set(report, -EINVAL, "trap_limit without WRING_ON_TRAP_DETACH");
	if (load->fuel > max_fuel)
		return wring_report_set(report, -EINVAL, "fuel: the most is %llu", max_fuel);
	if (load->map_count > WRING_MAX_MAPS)
		return wring_report_set(report, -E2BIG, "map_count: the most is %u",
					WRING_MAX_MAPS);
	return 0;
}

static int wring_load_check(const struct wring_prog_load *load, const struct wring_hook_type *hook,
			    struct wring_report *report)
{
	if (load->flags &
	    ~(WRING_PROG_F_KEEP | WRING_PROG_F_DEFAULT_VERDICT | WRING_PROG_F_CLAMPED))
		return wring_report_set(report, -EINVAL, "unknown flags %#x", load->flags);
	if (load->type != WRING_PROG_MODULE && !hook)
		return wring_report_set(report, -EOPNOTSUPP,
					"no programs of type %u on this kernel", load->type);
	if (!wring_name_valid(load->name))
		return wring_report_set(report, -EINVAL,
					"name: 1 to %u letters, digits, '_', '.', '-'",
					WRING_NAME_LEN - 1);
	if (strnlen(load->entry, WRING_EXPORT_LEN) == WRING_EXPORT_LEN || (!hook && load->entry[0]))
		return wring_report_set(report, -EINVAL,
					"entry: unterminated, or given without a hook");
	if (load->flags & WRING_PROG_F_DEFAULT_VERDICT ?
		    !hook || load->default_verdict < hook->verdict_min ||
			    load->default_verdict > hook->verdict_max :
		    load->default_verdict)
		return wring_report_set(report, -EINVAL, "default_verdict: not one of this hook's");
	return wring_load_check_limits(load, hook, report);
}

static struct wring_program *wring_program_alloc(const struct wring_prog_load *load,
						 const struct wring_hook_type *hook)
{
	struct wring_program *program = kzalloc(sizeof(*program), WRING_GFP);

	if (!program)
		return NULL;
	refcount_set(&program->refs, 1);
	mutex_init(&program->invoke_lock);
	mutex_init(&program->instances_lock);
	program->type = load->type;
	program->hook = hook;
	if (hook)
		program->default_verdict = load->flags & WRING_PROG_F_DEFAULT_VERDICT ?
						   load->default_verdict :
						   hook->default_verdict;
	strscpy(program->name, load->name, sizeof(program->name));
	strscpy(program->entry_name, load->entry, sizeof(program->entry_name));
	program->fuel = load->fuel ?: hook ? WRING_HOOK_FUEL : WRING_RUN_FUEL;
	program->time_us = load->time_us ?: hook ? WRING_HOOK_TIME_US : 0;
	program->stack_bytes = load->stack_bytes ?:
				       hook	 ? WRING_HOOK_STACK_BYTES :
						   WRING_RUN_STACK_BYTES;
	program->on_trap = load->on_trap;
	if (load->on_trap == WRING_ON_TRAP_DETACH)
		program->trap_limit = load->trap_limit ?: 1;
	program->timeout_limit = load->timeout_limit;
	program->clamped = load->flags & WRING_PROG_F_CLAMPED;
	program->private_stack = hook && program->stack_bytes > WRING_HOOK_STACK_BYTES;
	program->uid = current_uid();
	program->load_time_ns = ktime_get_boottime_ns();
	return program;
}

/* Gives it an id, unless loads have come to be refused while it was built. */
static int wring_program_register(struct wring_program *program, struct wring_report *report)
{
	int id, err;

	err = wring_loads_check(report);
	if (err)
		return err;
	mutex_lock(&wring_program_lock);
	id = idr_alloc_cyclic(&wring_programs, program, 1, 0, WRING_GFP);
	if (id > 0) {
		program->id = id;
		wring_programs_loaded++;
	}
	mutex_unlock(&wring_program_lock);
	return id > 0 ? 0 : wring_report_set(report, id, "no id for the program");
}

static void wring_program_keep(struct wring_program *program)
{
	mutex_lock(&wring_program_lock);
	program->keep = true;
	wring_program_get(program);
	mutex_unlock(&wring_program_lock);
}

/* -EBUSY, if it is to be, while there are links. */
static int wring_program_unkeep(struct wring_program *program, bool unless_linked)
{
	bool kept = false;
	int err = 0;

	mutex_lock(&wring_program_lock);
	if (unless_linked && atomic_read(&program->links)) {
		err = -EBUSY;
	} else {
		kept = program->keep;
		program->keep = false;
	}
	mutex_unlock(&wring_program_lock);
	if (kept)
		wring_program_put(program);
	return err;
}

/**
 * wring_program_load - WRING_IOC_PROG_LOAD
 * @call: gets the program's file
 * @arg: struct wring_prog_load
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno with the report filled in.
 */
int wring_program_load(struct wring_call *call, void *arg)
{
	struct wring_prog_load *load = arg;
	const struct wring_hook_type *hook = wring_hook_type_find(load->type);
	struct wring_program *program;
	int err;

	err = wring_may_load(hook, &call->report) ?: wring_load_check(load, hook, &call->report);
	if (err)
		return err;
	program = wring_program_alloc(load, hook);
	if (!program)
		return wring_report_set(&call->report, -ENOMEM, "out of memory");
	err = wring_program_build(program, load, &call->report);
	if (!err)
		err = wring_program_register(program, &call->report);
	if (err) {
		wring_program_destroy(program);
		kfree(program);
		return err;
	}
	wring_audit(program->id, program->tag, "LOAD");
	err = wring_program_file_new(call, program);
	if (err) {
		wring_program_put(program);
		return err;
	}
	if (load->flags & WRING_PROG_F_KEEP)
		wring_program_keep(program);
	load->id = program->id;
	return 0;
}

/**
 * wring_program_load_undo - take back what wring_program_load did beyond making a file
 * @call: with that file
 * @arg: struct wring_prog_load
 *
 * Context: process context.
 */
void wring_program_load_undo(struct wring_call *call, void *arg)
{
	/* Others may have found and attached it. */
	wring_program_unkeep(call->new_file->private_data, false);
}

/* ---- by id ---- */

/* With the lock held: the program with the smallest id that is at least *id and still referenced, or NULL. */
static struct wring_program *wring_program_next(u32 *id)
{
	struct wring_program *program;
	int at;

	for (at = min_t(u32, *id, INT_MAX); (program = idr_get_next(&wring_programs, &at)); at++) {
		if (refcount_read(&program->refs)) {
			*id = at;
			return program;
		}
	}
	return NULL;
}

/**
 * wring_program_next_id - WRING_IOC_PROG_NEXT_ID
 * @call: unused
 * @arg: struct wring_next_id
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EPERM or, after the last, -ENOENT.
 */
int wring_program_next_id(struct wring_call *call, void *arg)
{
	struct wring_next_id *next = arg;
	u32 id = next->id + 1;
	bool found;
	int err;

	if (next->flags)
		return -EINVAL;
	err = wring_may_look_up(&call->report);
	if (err)
		return err;
	if (next->id >= INT_MAX)
		return -ENOENT;
	mutex_lock(&wring_program_lock);
	found = wring_program_next(&id);
	mutex_unlock(&wring_program_lock);
	if (!found)
		return -ENOENT;
	next->id = id;
	return 0;
}

/**
 * wring_program_open - WRING_IOC_PROG_OPEN
 * @call: gets a file of the program
 * @arg: struct wring_prog_open
 *
 * Context: process context.
 * Return: 0 or a negative errno.
 */
int wring_program_open(struct wring_call *call, void *arg)
{
	const struct wring_prog_open *open = arg;
	struct wring_program *program;
	int err;

	if (open->flags)
		return -EINVAL;
	err = wring_may_look_up(&call->report);
	if (err)
		return err;
	if (open->id > INT_MAX)
		return -ENOENT;
	mutex_lock(&wring_program_lock);
	program = idr_find(&wring_programs, open->id);
	if (program && !refcount_inc_not_zero(&program->refs))
		program = NULL;
	mutex_unlock(&wring_program_lock);
	if (!program)
		return -ENOENT;
	err = wring_program_file_new(call, program);
	if (err)
		wring_program_put(program);
	return err;
}

/**
 * wring_program_count - programs not freed yet
 *
 * Context: any.
 */
u32 wring_program_count(void)
{
	return READ_ONCE(wring_programs_loaded);
}

/* ---- commands on a program's file ---- */

static int wring_program_unload(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	const struct wring_prog_unload *unload = arg;

	if (unload->flags || unload->reserved)
		return -EINVAL;
	return wring_may_run(program->hook, &call->report) ?:
		       wring_program_unkeep(program, true);
}

/**
 * wring_program_usage - runs and fuel of a program's invocations on a CPU
 * @program: referenced
 * @cpu: possible
 * @out: filled in
 *
 * Context: may sleep.
 */
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

static u64 wring_program_memory(struct wring_program *program, unsigned int cpu)
{
	const struct wring_program_cpu *state = per_cpu_ptr(program->cpu, cpu);
	u64 bytes = 0;

	mutex_lock(&program->instances_lock);
	if (state->instance)
		bytes = wring_instance_memory_bytes(state->instance);
	mutex_unlock(&program->instances_lock);
	return bytes;
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

	for (i = 0; i < min(program->map_count, info->map_room); i++) {
		if (put_user(program->maps[i].map->id, ids + i))
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
	info->id = program->id;
	info->type = program->type;
	info->flags = (READ_ONCE(program->keep) ? WRING_PROG_F_KEEP : 0) |
		      (program->clamped ? WRING_PROG_F_CLAMPED : 0);
	info->default_verdict = program->default_verdict;
	info->load_time_ns = program->load_time_ns;
	info->compile_ns = program->compile_ns;
	info->module_bytes = program->module_bytes;
	info->code_bytes = wring_text_bytes(program->text);
	if (wring_may_see_addresses())
		info->code_address = (unsigned long)wring_text_address(program->text);
	info->fuel = program->fuel;
	info->time_us = program->time_us;
	info->on_trap = program->on_trap;
	info->trap_limit = program->trap_limit;
	info->timeout_limit = program->timeout_limit;
	info->instances = program->instance_count;
	info->links = atomic_read(&program->links);
	info->map_count = program->map_count;
	info->uid = from_kuid_munged(current_user_ns(), program->uid);
	memcpy(info->tag, program->tag, sizeof(info->tag));
	strscpy(info->name, program->name, sizeof(info->name));
	strscpy(info->entry, program->entry_name, sizeof(info->entry));
	wring_program_sum(program, info);
	wring_trap_last(program, &info->trap);
	return 0;
}

static int wring_program_code(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	struct wring_prog_code *code = arg;
	u64 bytes = wring_text_bytes(program->text);
	int err;

	if (code->reserved)
		return -EINVAL;
	err = wring_may_read_code();
	if (err)
		return err;
	if (copy_to_user(u64_to_user_ptr(code->buffer), wring_text_address(program->text),
			 min(bytes, code->bytes)))
		return -EFAULT;
	code->bytes = bytes;
	code->address = (unsigned long)wring_text_address(program->text);
	return 0;
}

static int wring_program_module(struct wring_call *call, void *arg)
{
	struct wring_program *program = call->file->private_data;
	struct wring_str bytes = wring_module_bytes(program->module);
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
	struct wring_prog_run *run = arg;

	if (run->flags || run->reserved)
		return wring_report_set(&call->report, -EINVAL, "unknown flags");
	if (!program->hook || !program->hook->run)
		return wring_report_set(&call->report, -EOPNOTSUPP,
					"this type of program has no test run");
	return wring_may_run(program->hook, &call->report) ?:
		       program->hook->run(program, run, &call->report);
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
		.module = program->module,
		.instance = state->instance,
		.lock = &program->invoke_lock,
		.stack = &state->stack,
		.stack_bytes = program->stack_bytes,
		.fuel = program->fuel,
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
		      .handle = wring_program_export),
};

static long wring_program_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return wring_command_run(file, wring_program_commands, ARRAY_SIZE(wring_program_commands),
				 cmd, arg);
}

const struct file_operations wring_program_fops = {
	.owner = THIS_MODULE,
	.release = wring_program_release,
	.unlocked_ioctl = wring_program_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = wring_program_show_fdinfo,
	.llseek = noop_llseek,
};

/**
 * wring_program_exit - let go of the programs that are kept
 *
 * Context: module exit: there are no fds or links any more.
 */
void wring_program_exit(void)
{
	struct wring_program *program;
	int id;

	mutex_lock(&wring_program_lock);
	idr_for_each_entry(&wring_programs, program, id) {
		if (program->keep) {
			program->keep = false;
			wring_program_put(program);
		}
	}
	mutex_unlock(&wring_program_lock);
}
