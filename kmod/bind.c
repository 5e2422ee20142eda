// SPDX-License-Identifier: GPL-2.0
/*
 * bind.c - satisfies a module's imports: host functions, intrinsics, map handles, exports of other instances.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "wring.h"

#define MAX_HOST_TABLES 8

/* Written while the module initializes, constant afterwards. */
static const struct wring_host_function *wring_host_tables[MAX_HOST_TABLES];
static u32 wring_host_table_count;

/**
 * wring_host_register - add host functions
 * @table: ends with an entry without module name; stays valid until the module goes
 *
 * Context: module initialization.
 * Return: 0, or -ENOSPC when there are more tables than planned for.
 */
int wring_host_register(const struct wring_host_function *table)
{
	if (WARN_ON(wring_host_table_count == MAX_HOST_TABLES))
		return -ENOSPC;
	wring_host_tables[wring_host_table_count++] = table;
	return 0;
}

static bool wring_str_is(struct wring_str str, const char *text)
{
	return strlen(text) == str.len && !memcmp(str.data, text, str.len);
}

static const struct wring_host_function *wring_host_find(const struct wring_extern_desc *import)
{
	const struct wring_host_function *function;
	u32 i;

	for (i = 0; i < wring_host_table_count; i++) {
		for (function = wring_host_tables[i]; function->module; function++) {
			if (wring_str_is(import->module, function->module) &&
			    wring_str_is(import->name, function->name))
				return function;
		}
	}
	return NULL;
}

static int wring_bind_fail(struct wring_report *report, u32 i,
			   const struct wring_extern_desc *import, const char *why)
{
	char module[40], name[64];

	wring_text_printable(module, sizeof(module), import->module.data, import->module.len);
	wring_text_printable(name, sizeof(name), import->name.data, import->name.len);
	wring_report_set(report, -ENOLINK, "import %u \"%s\" \"%s\": %s", i, module, name, why);
	report->kind = WRING_ERROR_LINK;
	report->offset = import->offset;
	return -ENOLINK;
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

static int wring_bind_map(const struct wring_bind_source *source,
			  const struct wring_extern_desc *import, u32 i,
			  struct wring_binding *binding, struct wring_report *report)
{
	int err = wring_bind_check_type(report, i, import, "", "i");
	u32 m;

	if (err)
		return err;
	for (m = 0; m < source->map_count; m++) {
		if (wring_str_is(import->name, source->maps[m].name)) {
			binding->kind = WRING_BIND_CONSTANT;
			binding->value = m;
			return 0;
		}
	}
	return wring_bind_fail(report, i, import, "no map of this name was given");
}

static int wring_bind_host(const struct wring_module *module,
			   const struct wring_bind_source *source,
			   const struct wring_extern_desc *import, u32 i,
			   struct wring_binding *binding, struct wring_report *report)
{
	const struct wring_host_function *function = wring_host_find(import);
	int intrinsic, err;

	if (!function)
		return wring_bind_fail(report, i, import, "unknown import");
	err = wring_bind_check_type(report, i, import, function->params, function->results);
	if (err)
		return err;
	if (!(function->where & source->where))
		return wring_bind_fail(report, i, import, "not available to this type of program");
	if (wring_may_import(function))
		return wring_bind_fail(report, i, import, "not while the kernel is locked down");
	intrinsic = wring_import_is_intrinsic(module, i);
	if (intrinsic < 0)
		return wring_report_internal(report, NULL);
	binding->kind = intrinsic	     ? WRING_BIND_INTRINSIC :
			function->needs_hook ? WRING_BIND_HOOK_HOST :
					       WRING_BIND_HOST;
	binding->address = (unsigned long)function->address;
	binding->may_trap = function->may_trap;
	binding->may_sleep = function->may_sleep;
	binding->cost = function->cost;
	if (function->wanted)
		function->wanted();
	return 0;
}

/**
 * wring_bind_imports - decide what each import of a module is
 * @module: decoded
 * @source: what there is to satisfy imports with
 * @out: the bindings of the imported functions, to be kvfree'd; NULL if there are none
 * @count: of *out
 * @report: filled in on failure
 *
 * Types of what other instances export are the engine's to check, in wring_instance_new.
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int wring_bind_imports(const struct wring_module *module, const struct wring_bind_source *source,
		       struct wring_binding **out, u32 *count, struct wring_report *report)
{
	u32 i, n = 0, imports = wring_module_import_count(module);
	struct wring_binding *bindings = NULL;
	struct wring_extern_desc import;
	int err;

	if (source->values && source->value_count != imports)
		return wring_report_set(report, -EINVAL, "%u imports given, the module has %u",
					source->value_count, imports);
	if (imports) {
		bindings = kvcalloc(imports, sizeof(*bindings), WRING_GFP);
		if (!bindings)
			return wring_report_set(report, -ENOMEM, "out of memory");
	}
	for (i = 0; i < imports; i++) {
		cond_resched();
		err = wring_module_import(module, i, &import);
		if (err) {
			err = wring_report_internal(report, &import);
			goto err_free;
		}
		if (source->values && source->values[i].instance) {
			if (import.kind == WRING_EXTERN_FUNC)
				bindings[n++].kind = WRING_BIND_WASM;
			continue;
		}
		if (import.kind != WRING_EXTERN_FUNC) {
			err = wring_bind_fail(report, i, &import, "unknown import");
			goto err_free;
		}
		if (wring_str_is(import.module, WRING_MAP_IMPORT_MODULE))
			err = wring_bind_map(source, &import, i, &bindings[n], report);
		else
			err = wring_bind_host(module, source, &import, i, &bindings[n], report);
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
