// SPDX-License-Identifier: GPL-2.0
/*
 * session.c - plain instances that link to each other: an open /dev/wring is a store (a session) of them.
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

#include "device/command.h"
#include "device/session.h"
#include "host/table.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/os.h"
#include "policy/policy.h"
#include "unit/build.h"
#include "unit/invoke.h"
#include "unit/unit.h"

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
	struct wring_unit unit;
	struct wring_owner owner;
	struct wring_session *session;
	struct wring_instance *instance;
	struct llist_node dead;
};

static const struct file_operations wring_instance_fops;

struct wring_session *wring_session_new(void)
{
	struct wring_session *session = kzalloc(sizeof(*session), WRING_GFP);

	if (!session)
		return NULL;
	refcount_set(&session->refs, 1);
	mutex_init(&session->lock);
	return session;
}

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
	session->features = features;
	return session->store ? 0 : wring_unit_store_new(&limits, &session->store, report);
}

/* With the session's lock held, or before anybody else knows of the instance. */
static void wring_session_instance_drop(struct wring_session_instance *si)
{
	if (si->instance)
		wring_instance_put(si->instance);
	wring_unit_release(&si->unit);
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
			wring_audit(0, si->unit.tag, "UNLOAD");
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
	if (import->export_index >= wring_module_export_count(si->unit.module))
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

/* With the session's lock held. */
static int wring_instance_build(struct wring_session_instance *si,
				const struct wring_instance_new *new,
				const struct wring_bytes *bytes,
				const struct wring_import_set *imports, struct wring_report *report)
{
	struct wring_unit *unit = &si->unit;

	unit->store = si->session->store;
	return wring_unit_decode(unit, bytes, report) ?:
		       wring_unit_compile(unit, imports->values, imports->count, NULL, report) ?:
		       wring_unit_instantiate(unit, imports->values, imports->count, &si->owner,
					      si->session->stack, new->fuel ?: WRING_RUN_FUEL,
					      &si->instance, report);
}

static struct wring_session_instance *wring_session_instance_new(struct wring_session *session)
{
	struct wring_session_instance *si = kzalloc(sizeof(*si), WRING_GFP);

	if (!si)
		return NULL;
	si->session = session;
	si->owner.unit = &si->unit;
	strscpy(si->unit.name, "instance", sizeof(si->unit.name));
	si->unit.groups = WRING_HOST_INSTANCES;
	si->unit.fuel = WRING_RUN_FUEL;
	si->unit.stack_bytes = WRING_RUN_STACK_BYTES;
	return si;
}

/* With the session's lock held: an instance whose file is the call's. */
static int wring_session_instantiate(struct wring_session *session, struct wring_call *call,
				     const struct wring_instance_new *new,
				     const struct wring_bytes *bytes,
				     const struct wring_import_set *imports)
{
	struct wring_session_instance *si = wring_session_instance_new(session);
	struct file *file;
	int err;

	if (!si)
		return wring_report_set(&call->report, -ENOMEM, "out of memory");
	err = wring_instance_build(si, new, bytes, imports, &call->report);
	/* Loads may have come to be refused meanwhile. */
	if (!err)
		err = wring_loads_check(&call->report);
	if (err)
		goto err_drop;
	file = anon_inode_getfile("[wring-instance]", &wring_instance_fops, si, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file)) {
		err = wring_report_set(&call->report, PTR_ERR(file), "no file for the instance");
		goto err_drop;
	}
	wring_audit(0, si->unit.tag, "LOAD");
	refcount_inc(&session->refs);
	call->new_file = file;
	return 0;

err_drop:
	wring_session_instance_drop(si);
	kfree(si);
	return err;
}

static int wring_instance_check(const struct wring_instance_new *new, struct wring_report *report)
{
	bool validate = new->flags & WRING_INSTANCE_F_VALIDATE;

	if (new->flags & ~WRING_INSTANCE_F_VALIDATE || (validate && new->import_count))
		return wring_report_set(report, -EINVAL, "unknown flags");
	if (new->features & ~(WRING_WASM_2 | WRING_WASM_3 | WRING_WASM_THREADS))
		return wring_report_set(report, -EINVAL, "unknown features");
	return wring_may_load(NULL, report);
}

int wring_instance_create(struct wring_call *call, void *arg)
{
	struct wring_session *session = call->file->private_data;
	const struct wring_instance_new *new = arg;
	struct wring_import_set imports = {};
	struct wring_bytes bytes;
	int err;

	err = wring_instance_check(new, &call->report);
	if (err)
		return err;
	err = wring_bytes_get(&bytes, new->module, new->module_bytes, &call->report);
	if (err)
		return err;
	err = wring_imports_get(session, new, &imports, &call->report) ?:
		      mutex_lock_killable(&session->lock);
	if (err)
		goto out;
	err = wring_session_prepare(session, new->features, &call->report);
	if (!err)
		err = new->flags & WRING_INSTANCE_F_VALIDATE ?
			      wring_unit_validate(session->store, &bytes, &call->report) :
			      wring_session_instantiate(session, call, new, &bytes, &imports);
	mutex_unlock(&session->lock);
	wring_session_reap(session);
out:
	wring_imports_free(&imports);
	wring_bytes_put(&bytes);
	return err;
}

static void wring_instance_invokee(struct wring_session_instance *si, struct wring_invokee *target)
{
	*target = (struct wring_invokee) {
		.unit = &si->unit,
		.instance = si->instance,
		.lock = &si->session->lock,
		.stack = &si->session->stack,
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
		      .handle = wring_instance_export, WRING_ERROR_FIELDS(struct wring_export_get)),
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
