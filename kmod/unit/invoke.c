// SPDX-License-Identifier: GPL-2.0
/*
 * invoke.c - runs exports in the caller's process context and looks at exported globals.
 *
 * Guests run on a stack of their own, whatever their call graph, with a fuel budget handed out in slices between
 * which others run and a fatal signal ends the invocation.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/engine.h"
#include "mem/mem.h"
#include "os/os.h"
#include "report.h"
#include "unit/bind.h"
#include "unit/invoke.h"
#include "unit/trap.h"
#include "unit/unit.h"

#define MAX_NAME_BYTES 4096u

/* Registers' worth of 64-bit values for a list of types; -E2BIG if the description was cut short. */
static int wring_types_slots(const char *types)
{
	int slots = 0;

	for (; *types; types++) {
		if (*types == '?')
			return -E2BIG;
		slots += *types == 'v' ? 2 : 1;
	}
	return slots;
}

/* Whether all references but the host's are null: others would be addresses. */
static bool wring_args_valid(const char *types, const u64 *values)
{
	for (; *types; types++) {
		if ((*types == 'F' || *types == 'E') && *values)
			return false;
		values += *types == 'v' ? 2 : 1;
	}
	return true;
}

/* Nobody outside is told the addresses that references to functions and exceptions are. */
static void wring_results_hide(const char *types, u64 *values)
{
	for (; *types; types++) {
		if (*types == 'F' || *types == 'E')
			*values = !!*values;
		values += *types == 'v' ? 2 : 1;
	}
}

static int wring_export_by_name(const struct wring_module *module, const void __user *name,
				u32 bytes, u32 *index, struct wring_report *report)
{
	u32 i, count = wring_module_export_count(module);
	struct wring_extern_desc export;
	char *copy;
	int err;

	if (bytes > MAX_NAME_BYTES)
		return -ENOENT;
	/* memdup_user refuses nothing, so that the empty name works too. */
	copy = memdup_user_nul(name, bytes);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	err = -ENOENT;
	for (i = 0; i < count && err == -ENOENT; i++) {
		cond_resched();
		err = wring_module_export(module, i, &export);
		if (err)
			err = wring_report_internal(report, &export);
		else if (export.name.len != bytes || memcmp(export.name.data, copy, bytes))
			err = -ENOENT;
		else
			*index = i;
	}
	kfree(copy);
	return err;
}

/* Finds the export by name or index. */
static int wring_export_find(const struct wring_module *module, u64 name, u32 name_bytes,
			     u32 *index, struct wring_extern_desc *export,
			     struct wring_report *report)
{
	int err = 0;

	if (name)
		err = wring_export_by_name(module, u64_to_user_ptr(name), name_bytes, index,
					   report);
	else if (name_bytes)
		return wring_report_set(report, -EINVAL, "name_bytes without a name");
	if (!err && *index >= wring_module_export_count(module))
		err = -ENOENT;
	if (err == -EIO)
		return err;
	if (err)
		return wring_report_set(report, err,
					err == -ENOENT ? "no such export" :
							 "the export's name cannot be read");
	*index = array_index_nospec(*index, wring_module_export_count(module));
	if (wring_module_export(module, *index, export))
		return wring_report_internal(report, export);
	return 0;
}

static int wring_stack_ensure(const struct wring_invokee *target)
{
	if (!*target->stack)
		*target->stack = wring_stack_alloc(target->unit->stack_bytes, WRING_GFP);
	return *target->stack ? 0 : -ENOMEM;
}

/* With the invokee's lock held; values has room for arguments and results. */
static int wring_invokee_call(const struct wring_invokee *target, u32 func, u64 *values,
			      struct wring_invoke *invoke, struct wring_report *report)
{
	unsigned long long fuel = invoke->fuel ?: target->unit->fuel;
	u64 budget = fuel;

	if (wring_stack_ensure(target))
		return wring_report_set(report, -ENOMEM, "no memory for a stack of %u bytes",
					target->unit->stack_bytes);
	BUILD_BUG_ON(sizeof(*values) != sizeof(unsigned long long));
	invoke->trap = wring_invoke(target->instance, func, (unsigned long long *)values,
				    *target->stack, target->unit->stack_bytes, &fuel);
	invoke->fuel = budget - fuel;
	if (!invoke->trap)
		return 0;
	wring_report_trap(report, wring_instance_vmctx(target->instance), invoke->trap,
			  target->unit->module);
	if (target->cpu)
		wring_trap_record(target->cpu, wring_instance_vmctx(target->instance),
				  invoke->trap);
	return 0;
}

int wring_invokee_invoke(const struct wring_invokee *target, struct wring_invoke *invoke,
			 struct wring_report *report)
{
	struct wring_extern_desc export;
	int err, params, results;
	u64 *values;

	if (invoke->flags || invoke->reserved)
		return wring_report_set(report, -EINVAL, "unknown flags");
	err = wring_export_find(target->unit->module, invoke->name, invoke->name_bytes,
				&invoke->export_index, &export, report);
	if (err)
		return err;
	if (export.kind != WRING_EXTERN_FUNC)
		return wring_report_set(report, -EINVAL, "the export is not a function");
	params = wring_types_slots(export.params);
	results = wring_types_slots(export.results);
	if (params < 0 || results < 0)
		return wring_report_set(report, -EOPNOTSUPP,
					"a function of so many parameters or results");
	if (invoke->arg_count != params)
		return wring_report_set(report, -EINVAL,
					"%u arguments given, the function takes %d",
					invoke->arg_count, params);
	if (invoke->result_count < results)
		return wring_report_set(report, -ENOSPC, "room for %u results, the function has %d",
					invoke->result_count, results);

	values = kcalloc(max3(params, results, 1), sizeof(*values), WRING_GFP);
	if (!values)
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = -EFAULT;
	if (copy_from_user(values, u64_to_user_ptr(invoke->args), params * sizeof(*values)))
		goto out;
	if (!wring_args_valid(export.params, values)) {
		err = wring_report_set(report, -EINVAL,
				       "a reference to a function or exception that is not null");
		goto out;
	}
	err = mutex_lock_killable(target->lock);
	if (err)
		goto out;
	err = wring_invokee_call(target, export.index, values, invoke, report);
	mutex_unlock(target->lock);
	if (err)
		goto out;
	wring_results_hide(export.results, values);
	invoke->result_count = invoke->trap ? 0 : results;
	if (copy_to_user(u64_to_user_ptr(invoke->results), values,
			 invoke->result_count * sizeof(*values)))
		err = -EFAULT;
out:
	kfree(values);
	return err;
}

int wring_invokee_export(const struct wring_invokee *target, struct wring_export_get *get,
			 struct wring_report *report)
{
	unsigned long long value[2] = {};
	struct wring_extern_desc export;
	int err;

	if (get->flags || get->reserved)
		return wring_report_set(report, -EINVAL, "unknown flags");
	err = wring_export_find(target->unit->module, get->name, get->name_bytes,
				&get->export_index, &export, report);
	if (err)
		return err;
	get->kind = export.kind;
	memset(get->value, 0, sizeof(get->value));
	memset(get->params, 0, sizeof(get->params));
	memset(get->results, 0, sizeof(get->results));
	strscpy(get->params, export.params, sizeof(get->params));
	strscpy(get->results, export.results, sizeof(get->results));
	if (export.kind == WRING_EXTERN_GLOBAL) {
		err = mutex_lock_killable(target->lock);
		if (err)
			return err;
		err = wring_instance_global(target->instance, export.index, value);
		mutex_unlock(target->lock);
		if (err)
			return wring_report_set(report, -EIO, "the global cannot be read");
		get->value[0] = value[0];
		get->value[1] = value[1];
		wring_results_hide(export.results, get->value);
	}
	return 0;
}

int wring_start_run(const struct wring_unit *unit, struct wring_instance *instance, void *stack,
		    u64 fuel, struct wring_report *report)
{
	u32 start = wring_module_start(unit->module), trap;
	unsigned long long unused[1] = {}, left = fuel;

	if (start == WRING_NO_INDEX)
		return 0;
	trap = wring_invoke(instance, start, unused, stack, unit->stack_bytes, &left);
	if (!trap)
		return 0;
	wring_report_trap(report, wring_instance_vmctx(instance), trap, unit->module);
	return trap == WRING_TRAP_Interrupted ? -EINTR : -ECANCELED;
}
