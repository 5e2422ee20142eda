// SPDX-License-Identifier: GPL-2.0
/*
 * instance.c - plain instances that link to each other: an open /dev/wring is a store (a session) of them.
 *
 * The session's lock serializes everything in its store, as the engine asks: loading, invoking, putting. Instance
 * files hold a reference on their session, so that it outlives them and the /dev/wring file alike.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "wring.h"

struct wring_session {
	refcount_t refs;
	struct mutex lock;
	struct wring_store *store;	/* made when first needed, for modules with these features */
	u32 features;
	void *stack;			/* likewise; invocations take turns on it */
	/* Instances whose files are gone, to be put by whoever has the lock: see wring_session_reap. */
	struct llist_head dead;
};

/* An instance and its file, whose private data it is. */
struct wring_session_instance {
	struct wring_session *session;
	struct wring_module *module;
	struct wring_code *code;
	struct wring_instance *instance;
	u8 tag[8];
	struct llist_node dead;
};

static const struct file_operations wring_instance_fops;

/**
 * wring_session_new - the store of an open /dev/wring
 *
 * Context: may sleep.
 * Return: the session with one reference, or NULL.
 */
struct wring_session *wring_session_new(void)
{
	struct wring_session *session = kzalloc(sizeof(*session), WRING_GFP);

	if (!session)
		return NULL;
	refcount_set(&session->refs, 1);
	mutex_init(&session->lock);
	return session;
}

/**
 * wring_session_put - drop a reference on a session
 * @session: its lock is not held
 *
 * Context: may sleep.
 */
void wring_session_put(struct wring_session *session)
{
	if (!refcount_dec_and_test(&session->refs))
		return;
	if (session->store)
		wring_store_put(session->store);
	wring_stack_free(session->stack);
	kfree(session);
}

/* With the session's lock held: makes it ready for modules with these features (WRING_WASM_*). */
static int wring_session_prepare(struct wring_session *session, u32 features,
				 struct wring_report *report)
{
	const struct wring_limits limits = {
		.compile_bytes = WRING_MAX_COMPILE_BYTES,
		.memory_pages = WRING_MAX_MEMORY_PAGES,
		.table_entries = WRING_MAX_TABLE_ENTRIES,
		.code_bytes = WRING_MAX_CODE_BYTES,
		.features = features,
	};

	BUILD_BUG_ON(WRING_WASM_2 != WRING_FEATURE_WASM2 || WRING_WASM_3 != WRING_FEATURE_WASM3 ||
		     WRING_WASM_THREADS != WRING_FEATURE_THREADS);
	if (session->store && session->features != features)
		return wring_report_set(report, -EINVAL,
					"the open file's first instance had features %#x",
					session->features);

	if (!session->stack) {
		session->stack = wring_stack_alloc(WRING_RUN_STACK_BYTES, WRING_GFP);
		if (!session->stack)
			return wring_report_set(report, -ENOMEM, "out of memory");
	}
	if (!session->store && wring_store_new(&limits, &session->store))
		return wring_report_set(report, -ENOMEM, "out of memory");
	session->features = features;
	return 0;
}

/* With the session's lock held, or before anybody else knows of the instance. */
static void wring_session_instance_drop(struct wring_session_instance *si)
{
	if (si->instance)
		wring_instance_put(si->instance);
	if (si->code)
		wring_code_put(si->code);
	if (si->module)
		wring_module_put(si->module);
}

/*
 * Puts the instances whose files are gone, unless somebody has the lock, who will do so on giving it up: every
 * unlock is followed by a call. Thus closing a file never waits for an invocation, which may take for ever.
 */
static void wring_session_reap(struct wring_session *session)
{
	struct wring_session_instance *si, *next;
	struct llist_node *list;

	/* The caller's unlock comes before the look at the list, as additions come before the trylock. */
	smp_mb();
	while (!llist_empty(&session->dead) && mutex_trylock(&session->lock)) {
		list = llist_del_all(&session->dead);
		llist_for_each_entry(si, list, dead) {
			wring_audit(0, si->tag, "UNLOAD");
			wring_session_instance_drop(si);
		}
		mutex_unlock(&session->lock);
		llist_for_each_entry_safe(si, next, list, dead) {
			/* Not the last reference: the caller has one. */
			wring_session_put(session);
			kfree(si);
		}
	}
}

static int wring_instance_release(struct inode *inode, struct file *file)
{
	struct wring_session_instance *si = file->private_data;
	struct wring_session *session = si->session;

	refcount_inc(&session->refs);
	llist_add(&si->dead, &session->dead);
	wring_session_reap(session);
	wring_session_put(session);
	return 0;
}

/* The imports as the caller gave them, and the files that keep them alive until the engine does. */
struct wring_import_set {
	struct wring_import *given;
	struct wring_import_value *values;
	struct file **files;
	u32 count;
};

static void wring_imports_free(struct wring_import_set *set)
{
	u32 i;

	for (i = 0; set->files && i < set->count; i++) {
		if (set->files[i])
			fput(set->files[i]);
	}
	kvfree(set->files);
	kvfree(set->values);
	kvfree(set->given);
}

static int wring_import_resolve(struct wring_session *session, struct wring_import_set *set, u32 i,
				struct wring_report *report)
{
	const struct wring_import *import = &set->given[i];
	struct wring_session_instance *si;

	if (import->instance_fd == -1)
		return import->export_index ?
			       wring_report_set(report, -EINVAL,
						"import %u: an export without an instance", i) :
			       0;
	set->files[i] = fget(import->instance_fd);
	if (!set->files[i])
		return wring_report_set(report, -EBADF, "import %u: fd %d is not open", i,
					import->instance_fd);
	si = set->files[i]->private_data;
	if (set->files[i]->f_op != &wring_instance_fops || si->session != session)
		return wring_report_set(report, -EINVAL,
					"import %u: fd %d is no instance of this open file", i,
					import->instance_fd);
	if (import->export_index >= wring_module_export_count(si->module))
		return wring_report_set(report, -ENOENT, "import %u: no export %u", i,
					import->export_index);
	set->values[i].instance = si->instance;
	set->values[i].export_index = import->export_index;
	return 0;
}

static int wring_imports_get(struct wring_session *session, const struct wring_instance_new *new,
			     struct wring_import_set *set, struct wring_report *report)
{
	u32 i, count = new->import_count;
	int err;

	if (count > WRING_MAX_IMPORTS)
		return wring_report_set(report, -E2BIG, "%u imports exceed the limit of %u", count,
					WRING_MAX_IMPORTS);
	if (!count)
		return 0;
	set->count = count;
	set->given = kvmalloc_array(count, sizeof(*set->given), WRING_GFP);
	set->values = kvcalloc(count, sizeof(*set->values), WRING_GFP);
	set->files = kvcalloc(count, sizeof(*set->files), WRING_GFP);
	if (!set->given || !set->values || !set->files)
		return wring_report_set(report, -ENOMEM, "out of memory");
	if (copy_from_user(set->given, u64_to_user_ptr(new->imports), count * sizeof(*set->given)))
		return wring_report_set(report, -EFAULT, "the imports cannot be read");
	for (i = 0; i < count; i++) {
		err = wring_import_resolve(session, set, i, report);
		if (err)
			return err;
	}
	return 0;
}

static int wring_instance_compile(struct wring_session_instance *si,
				  const struct wring_import_set *imports, const u8 tag[8],
				  struct wring_report *report)
{
	const struct wring_bind_source source = {
		.where = WRING_IN_INSTANCE,
		.values = imports->values,
		.value_count = imports->count,
	};
	struct wring_binding *bindings = NULL;
	struct wring_target target;
	struct wring_compile_options options = {
		.target = &target, .metered = 1, .check = WRING_CHECK_STAGES,
	};
	struct wring_error error;
	struct wring_text *text;
	int err;

	wring_target_get(&target);
	err = wring_bind_imports(si->module, &source, &bindings, &options.function_count, report);
	if (err)
		return err;
	options.functions = bindings;
	err = wring_compile(si->module, &options, &si->code, &error);
	if (err)
		err = wring_report_engine(report, err, &error, si->module);
	else
		err = wring_text_place(si->code, "instance", tag, &text, report);
	kvfree(bindings);
	return err;
}

/* With the session's lock held. */
static int wring_instance_build(struct wring_session_instance *si,
				const struct wring_instance_new *new,
				const struct wring_bytes *bytes,
				const struct wring_import_set *imports, struct wring_report *report)
{
	struct wring_error error;
	int err;

	err = wring_session_prepare(si->session, new->features, report);
	if (err)
		return err;
	err = wring_module_new(si->session->store, bytes->data, bytes->len, &si->module, &error);
	if (err)
		return wring_report_engine(report, err, &error, NULL);
	err = wring_lsm_load(WRING_PROG_MODULE, "instance", si->module, new->module, report);
	if (err)
		return err;
	err = wring_instance_compile(si, imports, bytes->tag, report);
	if (err)
		return err;
	err = wring_instance_new(si->code, imports->values, imports->count, &si->instance, &error);
	if (err)
		return wring_report_engine(report, err, &error, si->module);
	return wring_start_run(si->module, si->instance, si->session->stack, WRING_RUN_STACK_BYTES,
			       new->fuel ?: WRING_RUN_FUEL, report);
}

/* WRING_INSTANCE_F_VALIDATE, with the session's lock held. */
static int wring_instance_validate(struct wring_session *session,
				   const struct wring_instance_new *new,
				   const struct wring_bytes *bytes, struct wring_report *report)
{
	struct wring_module *module;
	struct wring_error error;
	int err;

	err = wring_session_prepare(session, new->features, report);
	if (err)
		return err;
	err = wring_module_new(session->store, bytes->data, bytes->len, &module, &error);
	if (err)
		return wring_report_engine(report, err, &error, NULL);
	wring_module_put(module);
	return 0;
}

/**
 * wring_instance_create - WRING_IOC_INSTANCE_NEW
 * @call: on an open /dev/wring; gets the instance's file
 * @arg: struct wring_instance_new
 *
 * Context: may sleep.
 * Return: 0 or a negative errno with the report filled in.
 */
int wring_instance_create(struct wring_call *call, void *arg)
{
	struct wring_session *session = call->file->private_data;
	const struct wring_instance_new *new = arg;
	struct wring_session_instance *si;
	struct wring_import_set imports = {};
	struct wring_bytes bytes;
	bool validate = new->flags & WRING_INSTANCE_F_VALIDATE;
	struct file *file;
	int err;

	if (new->flags & ~WRING_INSTANCE_F_VALIDATE || (validate && new->import_count))
		return wring_report_set(&call->report, -EINVAL, "unknown flags");
	if (new->features & ~(WRING_WASM_2 | WRING_WASM_3 | WRING_WASM_THREADS))
		return wring_report_set(&call->report, -EINVAL, "unknown features");
	err = wring_may_load(NULL, &call->report);
	if (err)
		return err;
	si = kzalloc(sizeof(*si), WRING_GFP);
	if (!si)
		return wring_report_set(&call->report, -ENOMEM, "out of memory");
	si->session = session;
	err = wring_bytes_get(&bytes, new->module, new->module_bytes, &call->report);
	if (err)
		goto err_free;
	err = wring_imports_get(session, new, &imports, &call->report);
	if (err)
		goto err_imports;
	err = mutex_lock_killable(&session->lock);
	if (err)
		goto err_imports;
	if (validate)
		err = wring_instance_validate(session, new, &bytes, &call->report);
	else
		err = wring_instance_build(si, new, &bytes, &imports, &call->report);
	if (err || validate)
		goto err_drop;
	/* It may have come to be refused meanwhile. */
	err = wring_loads_check(&call->report);
	if (err)
		goto err_drop;
	file = anon_inode_getfile("[wring-instance]", &wring_instance_fops, si, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file)) {
		err = wring_report_set(&call->report, PTR_ERR(file), "no file for the instance");
		goto err_drop;
	}
	memcpy(si->tag, bytes.tag, sizeof(si->tag));
	wring_audit(0, si->tag, "LOAD");
	refcount_inc(&session->refs);
	mutex_unlock(&session->lock);
	wring_session_reap(session);
	call->new_file = file;
	wring_imports_free(&imports);
	wring_bytes_put(&bytes);
	return 0;

err_drop:	/* or nothing to keep */
	wring_session_instance_drop(si);
	mutex_unlock(&session->lock);
	wring_session_reap(session);
err_imports:
	wring_imports_free(&imports);
	wring_bytes_put(&bytes);
err_free:
	kfree(si);
	return err;
}

static void wring_instance_invokee(struct wring_session_instance *si, struct wring_invokee *target)
{
	*target = (struct wring_invokee) {
		.module = si->module,
		.instance = si->instance,
		.lock = &si->session->lock,
		.stack = &si->session->stack,
		.stack_bytes = WRING_RUN_STACK_BYTES,
		.fuel = WRING_RUN_FUEL,
	};
}

static int wring_instance_invoke(struct wring_call *call, void *arg)
{
	struct wring_session_instance *si = call->file->private_data;
	struct wring_invokee target;
	int err;

	wring_instance_invokee(si, &target);
	err = wring_may_run(NULL, &call->report) ?:
		      wring_invokee_invoke(&target, arg, &call->report);
	wring_session_reap(si->session);
	return err;
}

static int wring_instance_export(struct wring_call *call, void *arg)
{
	struct wring_session_instance *si = call->file->private_data;
	struct wring_invokee target;
	int err;

	wring_instance_invokee(si, &target);
	err = wring_invokee_export(&target, arg, &call->report);
	wring_session_reap(si->session);
	return err;
}

static const struct wring_command wring_instance_commands[] = {
	WRING_COMMAND(WRING_IOC_INVOKE, struct wring_invoke, reserved,
		      .handle = wring_instance_invoke, WRING_ERROR_FIELDS(struct wring_invoke)),
	WRING_COMMAND(WRING_IOC_EXPORT_GET, struct wring_export_get, results,
		      .handle = wring_instance_export),
};

static long wring_instance_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return wring_command_run(file, wring_instance_commands, ARRAY_SIZE(wring_instance_commands),
				 cmd, arg);
}

static const struct file_operations wring_instance_fops = {
	.owner = THIS_MODULE,
	.release = wring_instance_release,
	.unlocked_ioctl = wring_instance_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};
