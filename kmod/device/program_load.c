// SPDX-License-Identifier: GPL-2.0
/*
 * program_load.c - WRING_IOC_PROG_LOAD: what is asked for, checked and built; and programs found by id.
 */
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device/command.h"
#include "device/programs.h"
#include "hooks/aftermath.h"
#include "hooks/entry.h"
#include "hooks/family.h"
#include "hooks/stack.h"
#include "host/map.h"
#include "host/table.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/os.h"
#include "policy/policy.h"
#include "unit/bind.h"
#include "unit/build.h"
#include "unit/program.h"

/* ---- the request ---- */

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
static int wring_load_check_limits(const struct wring_prog_load *load,
				   const struct wring_family *family,
				   struct wring_report *report)
{
	u64 max_fuel = family ? WRING_MAX_HOOK_FUEL : U64_MAX;

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
	if (load->time_us > WRING_MAX_HOOK_TIME_US || (load->time_us && !family))
		return wring_report_set(report, -EINVAL,
					"time_us: the most is %u, and only hooks have a limit",
					WRING_MAX_HOOK_TIME_US);
	if (!family && (load->on_trap || load->trap_limit || load->timeout_limit))
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

static int wring_load_check(const struct wring_prog_load *load, const struct wring_family *family,
			    struct wring_report *report)
{
	if (load->flags &
	    ~(WRING_PROG_F_KEEP | WRING_PROG_F_DEFAULT_VERDICT | WRING_PROG_F_CLAMPED))
		return wring_report_set(report, -EINVAL, "unknown flags %#x", load->flags);
	if (load->type != WRING_PROG_MODULE && !family)
		return wring_report_set(report, -EOPNOTSUPP,
					"no programs of type %u on this kernel", load->type);
	if (!wring_name_valid(load->name))
		return wring_report_set(report, -EINVAL,
					"name: 1 to %u letters, digits, '_', '.', '-'",
					WRING_NAME_LEN - 1);
	if (strnlen(load->entry, WRING_EXPORT_LEN) == WRING_EXPORT_LEN ||
	    (!family && load->entry[0]))
		return wring_report_set(report, -EINVAL,
					"entry: unterminated, or given without a hook");
	if (load->flags & WRING_PROG_F_DEFAULT_VERDICT ?
		    !family || load->default_verdict < family->verdict_min ||
			    load->default_verdict > family->verdict_max :
		    load->default_verdict)
		return wring_report_set(report, -EINVAL, "default_verdict: not one of this hook's");
	return wring_load_check_limits(load, family, report);
}

/* ---- building ---- */

static void wring_program_destroy(struct wring_program *program)
{
	wring_aftermath_exit(program);
	wring_program_free_cpus(program);
	wring_unit_release(&program->unit);
	if (program->unit.store)
		wring_store_put(program->unit.store);
	kfree(program);
}

/* A program as the request has it, with nothing in it; NULL without memory. */
static struct wring_program *wring_program_alloc(const struct wring_prog_load *load,
						 const struct wring_family *family)
{
	struct wring_program *program = kzalloc(sizeof(*program), WRING_GFP);
	struct wring_unit *unit;

	if (!program)
		return NULL;
	refcount_set(&program->refs, 1);
	mutex_init(&program->invoke_lock);
	mutex_init(&program->instances_lock);
	program->destroy = wring_program_destroy;
	program->type = load->type;
	if (family)
		program->default_verdict = load->flags & WRING_PROG_F_DEFAULT_VERDICT ?
						   load->default_verdict :
						   family->default_verdict;
	strscpy(program->entry_name, load->entry, sizeof(program->entry_name));
	program->on_trap = load->on_trap;
	if (load->on_trap == WRING_ON_TRAP_DETACH)
		program->trap_limit = load->trap_limit ?: 1;
	program->timeout_limit = load->timeout_limit;

	unit = &program->unit;
	strscpy(unit->name, load->name, sizeof(unit->name));
	unit->family = family;
	unit->groups = family ? family->groups : WRING_HOST_ALL_PROGRAMS;
	unit->clamped = load->flags & WRING_PROG_F_CLAMPED;
	unit->fuel = load->fuel ?: family ? WRING_HOOK_FUEL : WRING_RUN_FUEL;
	unit->time_us = load->time_us ?: family ? WRING_HOOK_TIME_US : 0;
	unit->stack_bytes = load->stack_bytes ?:
			    family	      ? WRING_HOOK_STACK_BYTES :
						WRING_RUN_STACK_BYTES;
	unit->uid = current_uid();
	unit->load_time_ns = ktime_get_boottime_ns();
	program->private_stack = family && unit->stack_bytes > WRING_HOOK_STACK_BYTES;
	return program;
}

static int wring_program_decode(struct wring_program *program, const struct wring_prog_load *load,
				struct wring_report *report)
{
	const struct wring_limits limits = {
		.compile_bytes = WRING_MAX_COMPILE_BYTES,
		.memory_pages = load->max_memory_pages ?:
				program->unit.family   ? WRING_HOOK_MEMORY_PAGES :
							 WRING_MAX_MEMORY_PAGES,
		.table_entries = load->max_table_entries ?: WRING_MAX_TABLE_ENTRIES,
		.code_bytes = load->max_code_bytes ?: WRING_MAX_CODE_BYTES,
	};
	struct wring_bytes bytes;
	int err;

	err = wring_bytes_get(&bytes, load->module, load->module_bytes, report);
	if (err)
		return err;
	err = wring_unit_store_new(&limits, &program->unit.store, report) ?:
		      wring_unit_decode(&program->unit, &bytes, report);
	wring_bytes_put(&bytes);
	return err;
}

static int wring_program_bind_maps(struct wring_program *program,
				   const struct wring_prog_load *load, struct wring_report *report)
{
	struct wring_unit *unit = &program->unit;
	struct wring_map_ref *refs;
	struct wring_map *slot;
	int err = 0;
	u32 i;

	if (!load->map_count)
		return 0;
	refs = vmemdup_user(u64_to_user_ptr(load->maps), load->map_count * sizeof(*refs));
	if (IS_ERR(refs))
		return wring_report_set(report, PTR_ERR(refs), "the list of maps cannot be read");
	unit->maps = kcalloc(load->map_count, sizeof(*unit->maps), WRING_GFP);
	if (!unit->maps) {
		err = wring_report_set(report, -ENOMEM, "out of memory");
		goto out;
	}
	for (i = 0; i < load->map_count && !err; i++) {
		slot = &unit->maps[i];
		if (refs[i].flags || strnlen(refs[i].name, WRING_NAME_LEN) == WRING_NAME_LEN) {
			err = wring_report_set(report, -EINVAL,
					       "map %u: unknown flags or an unterminated name", i);
			break;
		}
		strscpy(slot->name, refs[i].name, sizeof(slot->name));
		err = wring_map_bind(slot, refs[i].fd, report);
		if (!err)
			unit->map_count++;
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
	u32 i, candidates = 0, count = wring_module_export_count(program->unit.module);
	size_t wanted = strlen(program->entry_name);
	struct wring_extern_desc export;

	for (i = 0; i < count; i++) {
		cond_resched();
		if (wring_module_export(program->unit.module, i, &export))
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

/* With an entry for its hook. */
static int wring_program_compile_hook(struct wring_program *program, struct wring_report *report)
{
	struct wring_hook_entry entry;
	u32 offset;
	int err;

	err = wring_program_find_entry(program, report);
	if (err)
		return err;
	err = wring_hook_stacks_ensure();
	if (err)
		return wring_report_set(report, err, "no memory for the stacks that hooks use");
	wring_hook_entry_describe(program, &entry);
	err = wring_unit_compile(&program->unit, NULL, 0, &entry, report);
	if (err)
		return err;
	offset = wring_code_hook_offset(program->unit.code);
	if (offset == WRING_NO_INDEX)
		return wring_report_internal(report, NULL);
	program->entry = wring_text_address(program->unit.text) + offset;
	/* Until a link knows better (hooks/rawtp.c). */
	program->arg_count = entry.layout.arg_count;
	return 0;
}

/* What is made so far is left to wring_program_destroy. */
static int wring_program_build(struct wring_program *program, const struct wring_prog_load *load,
			       struct wring_report *report)
{
	u64 begin = ktime_get_ns();
	int err;

	err = wring_program_alloc_cpus(program, report);
	if (err)
		return err;
	if (wring_aftermath_init(program, load->on_trap))
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = wring_program_decode(program, load, report) ?:
		      wring_program_bind_maps(program, load, report);
	if (err)
		return err;
	err = program->unit.family ? wring_program_compile_hook(program, report) :
				     wring_unit_compile(&program->unit, NULL, 0, NULL, report);
	if (err)
		return err;
	program->unit.compile_ns = ktime_get_ns() - begin;
	return wring_program_instantiate(program, report);
}

/* ---- commands ---- */

int wring_program_load(struct wring_call *call, void *arg)
{
	struct wring_prog_load *load = arg;
	const struct wring_family *family = wring_family_find(load->type);
	struct wring_program *program;
	int err;

	err = wring_may_load(family, &call->report) ?:
		      wring_load_check(load, family, &call->report);
	if (err)
		return err;
	program = wring_program_alloc(load, family);
	if (!program)
		return wring_report_set(&call->report, -ENOMEM, "out of memory");
	err = wring_program_build(program, load, &call->report);
	/* Loads may have come to be refused meanwhile. */
	if (!err)
		err = wring_loads_check(&call->report) ?:
			      wring_program_register(program, &call->report);
	if (err) {
		wring_program_destroy(program);
		return err;
	}
	wring_audit(program->unit.id, program->unit.tag, "LOAD");
	err = wring_program_file_new(call, program);
	if (err) {
		wring_program_put(program);
		return err;
	}
	if (load->flags & WRING_PROG_F_KEEP)
		wring_program_keep(program);
	load->id = program->unit.id;
	return 0;
}

void wring_program_load_undo(struct wring_call *call, void *arg)
{
	/* Others may have found and attached it. */
	wring_program_unkeep(call->new_file->private_data, false);
}

int wring_program_next_id(struct wring_call *call, void *arg)
{
	return wring_command_next_id(call, arg, wring_program_next);
}

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
	program = wring_program_find(open->id);
	if (!program)
		return -ENOENT;
	err = wring_program_file_new(call, program);
	if (err)
		wring_program_put(program);
	return err;
}
