// SPDX-License-Identifier: GPL-2.0
/*
 * build.c - the steps from a binary to a unit that runs.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <crypto/sha2.h>

#include "core/platform.h"
#include "host/log.h"
#include "host/map.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/os.h"
#include "policy/policy.h"
#include "report.h"
#include "unit/bind.h"
#include "unit/build.h"
#include "unit/invoke.h"
#include "unit/unit.h"

/* ---- bytes ---- */

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

int wring_bytes_get(struct wring_bytes *bytes, u64 user, u64 len, struct wring_report *report)
{
	int err;

	memset(bytes, 0, sizeof(*bytes));
	bytes->user = user;
	if (!len)
		return wring_report_at(report, -ENOEXEC, WRING_ERROR_MALFORMED, 0,
				       "unexpected end");
	if (len > WRING_MAX_MODULE_BYTES)
		return wring_report_at(report, -EFBIG, WRING_ERROR_LIMIT, WRING_NO_INDEX,
				       "a module of %llu bytes exceeds the limit of %lu", len,
				       WRING_MAX_MODULE_BYTES);
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

void wring_bytes_put(struct wring_bytes *bytes)
{
	wring_os_free(bytes->data);
	bytes->data = NULL;
}

/* ---- module ---- */

int wring_unit_store_new(const struct wring_limits *limits, struct wring_store **out,
			 struct wring_report *report)
{
	return wring_store_new(limits, out) ? wring_report_set(report, -ENOMEM, "out of memory") :
					      0;
}

int wring_unit_validate(struct wring_store *store, const struct wring_bytes *bytes,
			struct wring_report *report)
{
	struct wring_module *module;
	struct wring_error error;
	int err = wring_module_new(store, bytes->data, bytes->len, &module, &error);

	if (err)
		return wring_report_engine(report, err, &error, NULL);
	wring_module_put(module);
	return 0;
}

int wring_unit_decode(struct wring_unit *unit, const struct wring_bytes *bytes,
		      struct wring_report *report)
{
	struct wring_error error;
	int err;

	memcpy(unit->tag, bytes->tag, sizeof(unit->tag));
	unit->module_bytes = bytes->len;
	err = wring_module_new(unit->store, bytes->data, bytes->len, &unit->module, &error);
	if (err)
		return wring_report_engine(report, err, &error, NULL);
	return wring_lsm_load(unit->family, unit->name, unit->module, bytes->user, report);
}

/* ---- code ---- */

/* How generated code reaches the unit's maps, to be kfree'd: NULL if there are none, or an ERR_PTR. */
static struct wring_map_binding *wring_unit_map_bindings(const struct wring_unit *unit)
{
	struct wring_map_binding *maps;
	u32 i;

	if (!unit->map_count)
		return NULL;
	maps = kcalloc(unit->map_count, sizeof(*maps), WRING_GFP);
	if (!maps)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < unit->map_count; i++)
		maps[i] = unit->maps[i].binding;
	return maps;
}

int wring_unit_compile(struct wring_unit *unit, const struct wring_import_value *values,
		       u32 value_count, const struct wring_hook_entry *hook,
		       struct wring_report *report)
{
	struct wring_map_binding *maps = NULL;
	struct wring_binding *functions = NULL;
	struct wring_target target;
	struct wring_compile_options options = {
		.target = &target, .hook = hook, .metered = 1, .check = WRING_CHECK_STAGES,
	};
	struct wring_error error;
	int err;

	err = wring_bind_imports(unit, values, value_count, &functions, &options.function_count,
				 report);
	if (err)
		return err;
	maps = wring_unit_map_bindings(unit);
	if (IS_ERR(maps)) {
		kvfree(functions);
		return wring_report_set(report, PTR_ERR(maps), "out of memory");
	}
	unit->clamped |= !wring_may_speculate();
	wring_target_get(&target, unit->clamped);
	options.functions = functions;
	options.maps = maps;
	options.map_count = unit->map_count;
	err = wring_compile(unit->module, &options, &unit->code, &error);
	kfree(maps);
	kvfree(functions);
	if (err)
		return wring_report_engine(report, err, &error, unit->module);
	err = wring_text_place(unit->code, unit->name, unit->tag, &unit->text, report);
	if (!err && unit->logs)
		wring_log_enable();
	return err;
}

/* ---- instances ---- */

static int wring_unit_new_instance(const struct wring_unit *unit,
				   const struct wring_import_value *values, u32 value_count,
				   struct wring_instance **out, struct wring_report *report)
{
	u32 count = wring_module_import_count(unit->module);
	struct wring_import_value *host = NULL;
	struct wring_error error;
	int err;

	/* Without values all imports are the host's: zeroes. */
	if (!values && count) {
		host = kvcalloc(count, sizeof(*host), WRING_GFP);
		if (!host)
			return wring_report_set(report, -ENOMEM, "out of memory");
	}
	err = wring_instance_new(unit->code, values ?: host, values ? value_count : count, out,
				 &error);
	kvfree(host);
	return err ? wring_report_engine(report, err, &error, unit->module) : 0;
}

int wring_unit_instantiate(const struct wring_unit *unit, const struct wring_import_value *values,
			   u32 value_count, struct wring_owner *owner, void *stack, u64 fuel,
			   struct wring_instance **out, struct wring_report *report)
{
	struct wring_instance *instance;
	int err;

	err = wring_unit_new_instance(unit, values, value_count, &instance, report);
	if (err)
		return err;
	wring_instance_vmctx(instance)->host = owner;
	err = wring_start_run(unit, instance, stack, fuel, report);
	if (err) {
		wring_instance_put(instance);
		return err;
	}
	*out = instance;
	return 0;
}

void wring_unit_release(struct wring_unit *unit)
{
	u32 i;

	if (unit->code)
		wring_code_put(unit->code);
	if (unit->module)
		wring_module_put(unit->module);
	for (i = 0; i < unit->map_count; i++)
		wring_map_unbind(&unit->maps[i]);
	kfree(unit->maps);
}
