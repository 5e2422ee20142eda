// SPDX-License-Identifier: GPL-2.0
/*
 * bind.c - satisfies a module's imports: host functions, intrinsics, map handles, exports of other instances.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "host/map.h"
#include "host/table.h"
#include "os/os.h"
#include "policy/policy.h"
#include "report.h"
#include "unit/bind.h"
#include "unit/unit.h"

static int wring_bind_fail(struct wring_report *report, u32 i,
			   const struct wring_extern_desc *import, const char *why)
{
	char module[40], name[64];

	wring_text_printable(module, sizeof(module), import->module.data, import->module.len);
	wring_text_printable(name, sizeof(name), import->name.data, import->name.len);
	return wring_report_at(report, -ENOLINK, WRING_ERROR_LINK, import->offset,
			       "import %u \"%s\" \"%s\": %s", i, module, name, why);
}

static const char *wring_type_name(char letter)
{
	switch (letter) {
	case 'i': return "i32";
	case 'l': return "i64";
	case 'f': return "f32";
	case 'd': return "f64";
	case 'v': return "v128";
	case 'X': return "externref";
	case 'E': return "exnref";
	case 'F': return "funcref";
	default: return "...";
	}
}

/* "(i32, i64)", as far as there is room: how much of it was used. */
static size_t wring_types_print(char *out, size_t room, const char *types)
{
	size_t used = scnprintf(out, room, "(");
	const char *type;

	for (type = types; *type; type++)
		used += scnprintf(out + used, room - used, "%s%s", type == types ? "" : ", ",
				  wring_type_name(*type));
	return used + scnprintf(out + used, room - used, ")");
}

/* "(i32, i64) -> (i32)", likewise. */
static void wring_signature_print(char *out, size_t room, const char *params, const char *results)
{
	size_t used = wring_types_print(out, room, params);

	used += scnprintf(out + used, room - used, " -> ");
	wring_types_print(out + used, room - used, results);
}

/* 0 if the imported function is of that type. */
static int wring_bind_check_type(struct wring_report *report, u32 i,
				 const struct wring_extern_desc *import, const char *params,
				 const char *results)
{
	char why[128], have[48], want[48];

	if (!strcmp(import->params, params) && !strcmp(import->results, results))
		return 0;
	wring_signature_print(have, sizeof(have), import->params, import->results);
	wring_signature_print(want, sizeof(want), params, results);
	snprintf(why, sizeof(why), "incompatible import type: %s instead of %s", have, want);
	return wring_bind_fail(report, i, import, why);
}

static int wring_bind_map(const struct wring_unit *unit, const struct wring_extern_desc *import,
			  u32 i, struct wring_binding *binding, struct wring_report *report)
{
	int err = wring_bind_check_type(report, i, import, "", "i");
	u32 m;

	if (err)
		return err;
	for (m = 0; m < unit->map_count; m++) {
		if (wring_text_is(import->name, unit->maps[m].name)) {
			binding->kind = WRING_BIND_CONSTANT;
			binding->value = m;
			return 0;
		}
	}
	return wring_bind_fail(report, i, import, "no map of this name was given");
}

static int wring_bind_host(struct wring_unit *unit, const struct wring_extern_desc *import, u32 i,
			   struct wring_binding *binding, struct wring_report *report)
{
	const struct wring_host_function *function = wring_host_find(import);
	int err;

	if (!function)
		return wring_bind_fail(report, i, import, "unknown import");
	err = wring_bind_check_type(report, i, import, function->params, function->results);
	if (err)
		return err;
	if (!(function->groups & unit->groups))
		return wring_bind_fail(report, i, import, "not available to this type of program");
	if (wring_may_reach(function->reach))
		return wring_bind_fail(report, i, import, "not while the kernel is locked down");
	binding->kind = function->is_intrinsic ? WRING_BIND_INTRINSIC :
			function->needs_hook   ? WRING_BIND_HOOK_HOST :
						 WRING_BIND_HOST;
	binding->address = (unsigned long)function->address;
	binding->may_trap = function->may_trap;
	binding->may_sleep = function->may_sleep;
	binding->cost = function->cost;
	unit->writes_packet |= function->writes_packet;
	unit->takes_locks |= function->takes_locks;
	unit->logs |= function->logs;
	return 0;
}

/* One import that no other instance's export satisfies. */
static int wring_bind_import(struct wring_unit *unit, const struct wring_extern_desc *import, u32 i,
			     struct wring_binding *binding, struct wring_report *report)
{
	if (import->kind != WRING_EXTERN_FUNC)
		return wring_bind_fail(report, i, import, "unknown import");
	if (wring_text_is(import->module, WRING_MAP_IMPORT_MODULE))
		return wring_bind_map(unit, import, i, binding, report);
	return wring_bind_host(unit, import, i, binding, report);
}

int wring_bind_imports(struct wring_unit *unit, const struct wring_import_value *values,
		       u32 value_count, struct wring_binding **out, u32 *count,
		       struct wring_report *report)
{
	u32 i, n = 0, imports = wring_module_import_count(unit->module);
	struct wring_binding *bindings = NULL;
	struct wring_extern_desc import;
	int err;

	if (values && value_count != imports)
		return wring_report_set(report, -EINVAL, "%u imports given, the module has %u",
					value_count, imports);
	if (imports) {
		bindings = kvcalloc(imports, sizeof(*bindings), WRING_GFP);
		if (!bindings)
			return wring_report_set(report, -ENOMEM, "out of memory");
	}
	for (i = 0; i < imports; i++) {
		cond_resched();
		err = wring_module_import(unit->module, i, &import);
		if (err) {
			err = wring_report_internal(report, &import);
			goto err_free;
		}
		if (values && values[i].instance) {
			if (import.kind == WRING_EXTERN_FUNC)
				bindings[n++].kind = WRING_BIND_WASM;
			continue;
		}
		err = wring_bind_import(unit, &import, i, &bindings[n], report);
		if (err)
			goto err_free;
		n++;
	}
	*out = bindings;
	*count = n;
	return 0;

err_free:
	kvfree(bindings);
	return err;
}
