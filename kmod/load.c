// SPDX-License-Identifier: GPL-2.0
/*
 * load.c - from a binary to a program ready to run: decode, bind imports, compile, place, instantiate, start.
 */
#include <linux/filter.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <crypto/sha2.h>

#include "core/platform.h"
#include "wring.h"

#define COPY_STEP (256u << 10)

/* Copies and hashes: 0, -EFAULT or -EINTR. */
static int wring_bytes_copy(struct wring_bytes *bytes, u64 user, u32 len)
{
	u8 digest[SHA256_DIGEST_SIZE];
	struct sha256_state state;
	u32 done, step;

	sha256_init(&state);
	for (done = 0; done < len; done += step) {
		step = min(len - done, COPY_STEP);
		if (copy_from_user(bytes->data + done, u64_to_user_ptr(user + done), step))
			return -EFAULT;
		sha256_update(&state, bytes->data + done, step);
		if (wring_os_yield())
			return -EINTR;
	}
	sha256_final(&state, digest);
	memcpy(bytes->tag, digest, sizeof(bytes->tag));
	bytes->len = len;
	return 0;
}

/**
 * wring_bytes_get - copy a binary from the user
 * @bytes: filled in; given back with wring_bytes_put
 * @user: address
 * @len: of the binary
 * @report: filled in on failure
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int wring_bytes_get(struct wring_bytes *bytes, u64 user, u64 len, struct wring_report *report)
{
	int err;

	memset(bytes, 0, sizeof(*bytes));
	if (!len) {
		wring_report_set(report, -ENOEXEC, "unexpected end");
		report->kind = WRING_ERROR_MALFORMED;
		report->offset = 0;
		return -ENOEXEC;
	}
	if (len > WRING_MAX_MODULE_BYTES) {
		wring_report_set(report, -EFBIG, "a module of %llu bytes exceeds the limit of %lu",
				 len, WRING_MAX_MODULE_BYTES);
		report->kind = WRING_ERROR_LIMIT;
		return -EFBIG;
	}
	bytes->data = wring_os_alloc(len);
	if (!bytes->data)
		return wring_report_set(report, -ENOMEM, "no memory for a module of %llu bytes",
					len);
	err = wring_bytes_copy(bytes, user, len);
	if (err) {
		wring_bytes_put(bytes);
		return wring_report_set(report, err, err == -EINTR ? "interrupted" :
								     "the module cannot be read");
	}
	return 0;
}

/**
 * wring_bytes_put - free the copy of a binary
 * @bytes: from wring_bytes_get, successful or not
 *
 * Context: may sleep.
 */
void wring_bytes_put(struct wring_bytes *bytes)
{
	wring_os_free(bytes->data);
	bytes->data = NULL;
}

static int wring_program_bind_maps(struct wring_program *program,
				   const struct wring_prog_load *load, struct wring_report *report)
{
	struct wring_map_ref *refs;
	struct wring_map *slot;
	int err = 0;
	u32 i;

	if (!load->map_count)
		return 0;
	refs = vmemdup_user(u64_to_user_ptr(load->maps), load->map_count * sizeof(*refs));
	if (IS_ERR(refs))
		return wring_report_set(report, PTR_ERR(refs), "the list of maps cannot be read");
	program->maps = kcalloc(load->map_count, sizeof(*program->maps), WRING_GFP);
	if (!program->maps) {
		err = wring_report_set(report, -ENOMEM, "out of memory");
		goto out;
	}
	for (i = 0; i < load->map_count && !err; i++) {
		slot = &program->maps[i];
		if (refs[i].flags || strnlen(refs[i].name, WRING_NAME_LEN) == WRING_NAME_LEN) {
			err = wring_report_set(report, -EINVAL,
					       "map %u: unknown flags or an unterminated name", i);
			break;
		}
		strscpy(slot->name, refs[i].name, sizeof(slot->name));
		err = wring_map_bind(slot, refs[i].fd, report);
		if (!err)
			program->map_count++;
	}
out:
	kvfree(refs);
	return err;
}

/* Hook entries are () -> i32 or (i32) -> i32. */
static bool wring_entry_fits(const struct wring_extern_desc *export)
{
	return export->kind == WRING_EXTERN_FUNC && !strcmp(export->results, "i") &&
	       (!strcmp(export->params, "") || !strcmp(export->params, "i"));
}

static int wring_program_find_entry(struct wring_program *program, struct wring_report *report)
{
	u32 i, candidates = 0, count = wring_module_export_count(program->module);
	size_t wanted = strlen(program->entry_name);
	struct wring_extern_desc export;

	for (i = 0; i < count; i++) {
		cond_resched();
		if (wring_module_export(program->module, i, &export))
			return wring_report_internal(report, &export);
		if (wanted) {
			if (export.name.len != wanted ||
			    memcmp(export.name.data, program->entry_name, wanted))
				continue;
			if (!wring_entry_fits(&export))
				return wring_report_set(
					report, -EINVAL,
					"export \"%s\" is not a function () -> i32 or (i32) -> i32",
					program->entry_name);
		} else if (!wring_entry_fits(&export)) {
			continue;
		}
		candidates++;
		program->entry_func = export.index;
		if (!wanted)
			wring_text_printable(program->entry_name, sizeof(program->entry_name),
					     export.name.data, export.name.len);
		if (wanted)
			return 0;
	}
	if (candidates == 1)
		return 0;
	if (wanted)
		return wring_report_set(report, -ENOENT, "no export \"%s\"", program->entry_name);
	program->entry_name[0] = '\0';
	return wring_report_set(
		report, candidates ? -EINVAL : -ENOENT,
		"%u exports are functions () -> i32 or (i32) -> i32: %s", candidates,
		candidates ? "name the one to run" : "there is nothing to run at the hook");
}

static void wring_program_hook_entry(const struct wring_program *program,
				     struct wring_hook_entry *entry)
{
	const struct wring_hook_type *hook = program->hook;

	*entry = (struct wring_hook_entry) {
		.func = program->entry_func,
		.default_verdict = program->default_verdict,
		.verdict_min = hook->verdict_min,
		.verdict_max = hook->verdict_max,
		.percpu_vmctx = (__force unsigned long)&program->cpu->vmctx,
		.fuel = program->fuel,
		.is_timed = (unsigned long)&bpf_stats_enabled_key.key.enabled,
		.time_begin = (unsigned long)wring_hook_time_begin,
		.time_end = (unsigned long)wring_hook_time_end,
		.pkt_data_offset = hook->pkt_data_offset,
		.pkt_end_offset = hook->pkt_end_offset,
		.args_in_ctx = hook->args_in_ctx,
		.arg_count = hook->arg_count,
		.may_nest = hook->may_nest,
		.private_stack = program->private_stack,
		.slow_path = (unsigned long)wring_hook_slow_path,
		.fpu_begin = (unsigned long)wring_hook_fpu_begin,
		.fpu_end = (unsigned long)wring_hook_fpu_end,
	};
	wring_hook_stacks_describe(entry);
}

static int wring_program_compile(struct wring_program *program, struct wring_report *report)
{
	const struct wring_bind_source source = {
		.where = WRING_IN(program->type),
		.maps = program->maps,
		.map_count = program->map_count,
	};
	struct wring_map_binding *maps = NULL;
	struct wring_binding *functions = NULL;
	struct wring_hook_entry hook;
	struct wring_target target;
	struct wring_compile_options options = {
		.target = &target, .metered = 1, .check = WRING_CHECK_STAGES,
	};
	struct wring_error error;
	int err;
	u32 i;

	err = wring_bind_imports(program->module, &source, &functions, &options.function_count,
				 report);
	if (err)
		return err;
	if (program->map_count) {
		maps = kcalloc(program->map_count, sizeof(*maps), WRING_GFP);
		if (!maps) {
			err = wring_report_set(report, -ENOMEM, "out of memory");
			goto out;
		}
		for (i = 0; i < program->map_count; i++)
			maps[i] = program->maps[i].binding;
	}
	if (program->hook) {
		err = wring_hook_stacks_ensure();
		if (err) {
			wring_report_set(report, err, "no memory for the stacks that hooks use");
			goto out;
		}
		wring_program_hook_entry(program, &hook);
		options.hook = &hook;
	}
	wring_target_get(&target);
	target.clamp_speculation |= program->clamped;
	program->clamped = target.clamp_speculation;
	options.functions = functions;
	options.maps = maps;
	options.map_count = program->map_count;
	err = wring_compile(program->module, &options, &program->code, &error);
	if (err)
		err = wring_report_engine(report, err, &error, program->module);
out:
	kfree(maps);
	kvfree(functions);
	return err;
}

static int wring_program_place(struct wring_program *program, struct wring_report *report)
{
	u32 offset;
	int err;

	err = wring_text_place(program->code, program->name, program->tag, &program->text, report);
	if (err || !program->hook)
		return err;
	offset = wring_code_hook_offset(program->code);
	if (offset == WRING_NO_INDEX)
		return wring_report_set(report, -EIO, "the code has no hook entry");
	program->entry = wring_text_address(program->text) + offset;
	return 0;
}

/* An instance and its stack, if it has one of its own. */
struct wring_made {
	struct wring_instance *instance;
	void *stack;
};

static int wring_instance_make(struct wring_program *program, struct wring_made *made,
			       struct wring_report *report)
{
	u32 count = wring_module_import_count(program->module);
	struct wring_import_value *host = NULL;
	struct wring_error error;
	int err;

	/* All imports are the host's: zeroes. */
	if (count) {
		host = kvcalloc(count, sizeof(*host), WRING_GFP);
		if (!host)
			return wring_report_set(report, -ENOMEM, "out of memory");
	}
	err = wring_instance_new(program->code, host, count, &made->instance, &error);
	kvfree(host);
	if (err)
		return wring_report_engine(report, err, &error, program->module);
	if (!program->private_stack && wring_module_start(program->module) == WRING_NO_INDEX)
		return 0;
	made->stack = wring_stack_alloc(program->stack_bytes, WRING_GFP);
	if (!made->stack)
		return wring_report_set(report, -ENOMEM, "no memory for a stack of %u bytes",
					program->stack_bytes);
	return 0;
}

/* Runs its start function and makes it what a hook finds. */
static int wring_instance_prepare(struct wring_program *program, struct wring_program_cpu *state,
				  struct wring_made *made, struct wring_report *report)
{
	struct wring_vmctx *vmctx = wring_instance_vmctx(made->instance);
	int err;

	vmctx->host = state;
	err = wring_start_run(program->module, made->instance, made->stack, program->stack_bytes,
			      WRING_RUN_FUEL, report);
	if (err || !program->hook)
		return err;
	wring_instance_usage_reset(made->instance);
	vmctx->time_slice = (u64)program->time_us * wring_os_cycles_per_us();
	if (!program->private_stack) {
		wring_stack_free(made->stack);
		made->stack = NULL;
	} else if (wring_instance_set_stack(made->instance, made->stack, program->stack_bytes)) {
		return wring_report_set(report, -EINVAL, "a stack of %u bytes is too small",
					program->stack_bytes);
	}
	return 0;
}

static void wring_made_put(struct wring_made *made)
{
	if (made->instance)
		wring_instance_put(made->instance);
	wring_stack_free(made->stack);
}

/* Puts a ready instance where the CPU's hooks find it; *made becomes the one that was there. */
static void wring_program_exchange(struct wring_program *program, struct wring_program_cpu *state,
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

static int wring_program_instantiate(struct wring_program *program, unsigned int cpu,
				     struct wring_report *report)
{
	struct wring_program_cpu *state = per_cpu_ptr(program->cpu, cpu);
	struct wring_made made = {};
	int err;

	err = wring_instance_make(program, &made, report) ?:
		      wring_instance_prepare(program, state, &made, report);
	if (!err)
		wring_program_exchange(program, state, &made);
	wring_made_put(&made);
	return err;
}

/**
 * wring_program_renew - give a CPU's hooks a fresh instance
 * @program: of a hook
 * @cpu: where nothing runs on the instance that there is, nor will
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; then all is as it was.
 */
int wring_program_renew(struct wring_program *program, unsigned int cpu)
{
	struct wring_report report = {};

	return wring_program_instantiate(program, cpu, &report);
}

/**
 * wring_program_set_args - set how many arguments a hook's programs may read
 * @program: of a hook
 * @count: at most WRING_MAX_HOOK_ARGS
 *
 * Context: may sleep.
 */
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

static int wring_program_alloc_cpus(struct wring_program *program, struct wring_report *report)
{
	struct wring_program_cpu *state;
	unsigned int cpu;

	program->cpu = alloc_percpu_gfp(struct wring_program_cpu, WRING_GFP);
	if (!program->cpu)
		return wring_report_set(report, -ENOMEM, "out of memory");
	for_each_possible_cpu(cpu) {
		state = per_cpu_ptr(program->cpu, cpu);
		state->program = program;
		seqcount_init(&state->trap.seq);
	}
	return 0;
}

static int wring_program_decode(struct wring_program *program, const struct wring_prog_load *load,
				struct wring_report *report)
{
	const struct wring_limits limits = {
		.compile_bytes = WRING_MAX_COMPILE_BYTES,
		.memory_pages = load->max_memory_pages ?:
				(program->hook ? WRING_HOOK_MEMORY_PAGES : WRING_MAX_MEMORY_PAGES),
		.table_entries = load->max_table_entries ?: WRING_MAX_TABLE_ENTRIES,
		.code_bytes = load->max_code_bytes ?: WRING_MAX_CODE_BYTES,
	};
	struct wring_error error;
	struct wring_bytes bytes;
	int err;

	err = wring_bytes_get(&bytes, load->module, load->module_bytes, report);
	if (err)
		return err;
	memcpy(program->tag, bytes.tag, sizeof(program->tag));
	program->module_bytes = bytes.len;
	err = wring_store_new(&limits, &program->store);
	if (err) {
		err = wring_report_set(report, -ENOMEM, "out of memory");
		goto out;
	}
	err = wring_module_new(program->store, bytes.data, bytes.len, &program->module, &error);
	if (err)
		err = wring_report_engine(report, err, &error, NULL);
out:
	wring_bytes_put(&bytes);
	return err;
}

/**
 * wring_program_build - make a fresh program what the command asks for
 * @program: type, names, fuel and stack size are set; the rest is zero
 * @load: the command, checked
 * @report: filled in on failure
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; then the caller calls wring_program_destroy.
 */
int wring_program_build(struct wring_program *program, const struct wring_prog_load *load,
			struct wring_report *report)
{
	u64 begin = ktime_get_ns();
	unsigned int cpu;
	int err;

	err = wring_program_alloc_cpus(program, report);
	if (err)
		return err;
	if (wring_aftermath_init(program, load->on_trap))
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = wring_program_decode(program, load, report);
	if (err)
		return err;
	err = wring_lsm_load(program->type, program->name, program->module, load->module, report);
	if (err)
		return err;
	err = wring_program_bind_maps(program, load, report);
	if (err)
		return err;
	if (program->hook) {
		err = wring_program_find_entry(program, report);
		if (err)
			return err;
	}
	err = wring_program_compile(program, report);
	if (err)
		return err;
	program->compile_ns = ktime_get_ns() - begin;
	err = wring_program_place(program, report);
	if (err)
		return err;
	/* Until a link knows better (hook_rawtp.c). */
	program->arg_count = program->hook ? program->hook->arg_count : 0;
	for_each_possible_cpu(cpu) {
		err = wring_program_instantiate(program, cpu, report);
		if (!err)
			program->instance_count++;
		if (err || !program->hook)
			return err;
		if (wring_os_yield())
			return wring_report_set(report, -EINTR, "interrupted");
	}
	return 0;
}

/**
 * wring_program_destroy - free what a program consists of
 * @program: nothing runs it any more; the struct itself stays
 *
 * Context: may sleep.
 */
void wring_program_destroy(struct wring_program *program)
{
	struct wring_program_cpu *state;
	unsigned int cpu;
	u32 i;

	wring_aftermath_exit(program);
	if (program->cpu) {
		for_each_possible_cpu(cpu) {
			state = per_cpu_ptr(program->cpu, cpu);
			if (state->instance)
				wring_instance_put(state->instance);
			wring_stack_free(state->stack);
		}
	}
	if (program->code)
		wring_code_put(program->code);
	if (program->module)
		wring_module_put(program->module);
	if (program->store)
		wring_store_put(program->store);
	for (i = 0; i < program->map_count; i++)
		wring_map_unbind(&program->maps[i]);
	kfree(program->maps);
	free_percpu(program->cpu);
}
