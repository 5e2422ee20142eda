// SPDX-License-Identifier: GPL-2.0
/*
 * link.c - the links that there are, by id, and their end.
 *
 * A link holds a reference on its program and on the module. It lasts until it is detached, or
 * until nothing can run it any more: some go with their network namespace, and those that nobody
 * would tell of, because the netdev vanished or a loader died halfway, are swept up.
 */
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "hooks/family.h"
#include "hooks/link.h"
#include "os/os.h"
#include "report.h"
#include "unit/limits.h"
#include "unit/program.h"

#define SWEEP_INTERVAL (HZ)
/* What an invocation counts for at least, with all that is around it. */
#define MIN_SHARE_US 100u

/*
 * Serializes everything that changes links. Taken within pernet operations, so rtnl must not be
 * taken inside.
 */
static DEFINE_MUTEX(wring_link_lock);
static DEFINE_IDR(wring_links);		/* under the lock */

static void wring_link_sweep(struct work_struct *work);
static DECLARE_DEFERRABLE_WORK(wring_link_sweep_work, wring_link_sweep);

static const struct wring_family_ops *wring_link_ops(const struct wring_link *link)
{
	return link->program->unit.family->ops;
}

/* ---- attaching ---- */

int wring_link_name_copy(char *to, const char *name, const char *field,
			 struct wring_report *report)
{
	size_t len = strnlen(name, WRING_TARGET_LEN), i;

	if (len == WRING_TARGET_LEN)
		return wring_report_set(report, -EINVAL, "%s: not terminated", field);
	for (i = 0; i < len; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return wring_report_set(report, -EINVAL, "%s: not printable", field);
	}
	strscpy(to, name, WRING_TARGET_LEN);
	return 0;
}

/* What one invocation through a link may take. */
static u32 wring_link_time_us(const struct wring_link *link)
{
	return max(link->program->unit.time_us, MIN_SHARE_US);
}

/*
 * With the lock held: all that one event can hold a CPU for is bounded, however many programs wait
 * for it.
 */
static int wring_link_check_time(const struct wring_link *link, struct wring_report *report)
{
	const struct wring_family_ops *ops = wring_link_ops(link);
	u64 total = wring_link_time_us(link);
	const struct wring_link *other;
	int id;

	idr_for_each_entry(&wring_links, other, id) {
		if (wring_link_ops(other) == ops && ops->is_beside && ops->is_beside(link, other))
			total += wring_link_time_us(other);
	}
	if (total <= WRING_MAX_EVENT_TIME_US)
		return 0;
	return wring_report_set(report, -ENOSPC,
				"the programs there could take more than %u us (see time_us)",
				WRING_MAX_EVENT_TIME_US);
}

static int wring_link_attach_locked(struct wring_link *link, const struct wring_link_attach *attach,
				    struct wring_report *report)
{
	const struct wring_family_ops *ops = wring_link_ops(link);
	int id, err;

	err = ops->prepare(link, attach, report) ?: wring_link_check_time(link, report);
	if (err)
		return err;
	/* The id first, because it can fail and attaching is better not undone. */
	id = idr_alloc_cyclic(&wring_links, NULL, 1, 0, WRING_GFP);
	if (id < 0)
		return wring_report_set(report, id, "no id for the link");
	err = wring_program_link(link->program);
	if (err) {
		wring_report_set(report, err, "the module is being removed");
		goto err_id;
	}
	link->id = id;
	err = ops->attach(link, attach, report);
	if (err)
		goto err_unlink;
	idr_replace(&wring_links, link, id);
	if (ops->is_abandoned)
		schedule_delayed_work(&wring_link_sweep_work, SWEEP_INTERVAL);
	return 0;

err_unlink:
	wring_program_unlink(link->program);
err_id:
	idr_remove(&wring_links, id);
	return err;
}

int wring_link_attach(struct wring_program *program, struct wring_link_attach *attach,
		      struct wring_report *report)
{
	const struct wring_family_ops *ops = program->unit.family->ops;
	struct wring_link *link;
	int err;

	if (memchr_inv((const u8 *)attach->room + ops->attach_bytes, 0,
		       sizeof(attach->room) - ops->attach_bytes))
		return wring_report_set(report, -EINVAL, "fields of another type of hook are set");
	link = kzalloc(ops->link_bytes, WRING_GFP);
	if (!link)
		return wring_report_set(report, -ENOMEM, "out of memory");
	link->program = program;
	err = mutex_lock_killable(&wring_link_lock);
	if (err)
		goto out;
	err = wring_link_attach_locked(link, attach, report);
	if (!err)
		attach->id = link->id;	/* unlocked, the link may be gone at once */
	mutex_unlock(&wring_link_lock);
out:
	if (err)
		kfree(link);
	return err;
}

/* ---- detaching ---- */

/* With the lock held: takes a link off its hook and out of the registry, for wring_links_free. */
static void wring_link_unhook(struct wring_link *link, struct list_head *dead)
{
	lockdep_assert_held(&wring_link_lock);
	idr_remove(&wring_links, link->id);
	wring_link_ops(link)->detach(link);
	list_add(&link->dead, dead);
}

/*
 * With the lock held. The programs' own memory outlives the grace period by itself
 * (wring_program_put); waiting here is for the caller, who is promised that the programs do not run
 * any more, and once for all of them.
 */
static void wring_links_free(struct list_head *dead)
{
	struct wring_link *link, *next;

	lockdep_assert_held(&wring_link_lock);
	if (list_empty(dead))
		return;
	/* Some hooks are tracepoints, which run outside of RCU proper too. */
	tracepoint_synchronize_unregister();
	list_for_each_entry_safe(link, next, dead, dead) {
		if (wring_link_ops(link)->release)
			wring_link_ops(link)->release(link);
		wring_program_unlink(link->program);
		kfree(link);
	}
}

/* With the lock held: the link, if it is one of this program (NULL: of any), or NULL. */
static struct wring_link *wring_link_find(u32 id, const struct wring_program *program)
{
	struct wring_link *link = id <= INT_MAX ? idr_find(&wring_links, id) : NULL;

	return link && (!program || link->program == program) ? link : NULL;
}

static int wring_link_detach_locked(u32 id, const struct wring_program *program)
{
	struct wring_link *link = wring_link_find(id, program);
	LIST_HEAD(dead);

	if (!link)
		return -ENOENT;
	wring_link_unhook(link, &dead);
	wring_links_free(&dead);
	return 0;
}

int wring_link_detach(u32 id, const struct wring_program *program)
{
	int err;

	if (mutex_lock_killable(&wring_link_lock))
		return -EINTR;
	err = wring_link_detach_locked(id, program);
	mutex_unlock(&wring_link_lock);
	return err;
}

void wring_link_undo(u32 id)
{
	mutex_lock(&wring_link_lock);
	wring_link_detach_locked(id, NULL);
	mutex_unlock(&wring_link_lock);
}

int wring_link_detach_all(const struct wring_program *program)
{
	struct wring_link *link;
	LIST_HEAD(dead);
	int id, count = 0;

	if (mutex_lock_killable(&wring_link_lock))
		return -EINTR;
	idr_for_each_entry(&wring_links, link, id) {
		if (program && link->program != program)
			continue;
		wring_link_unhook(link, &dead);
		count++;
	}
	wring_links_free(&dead);
	mutex_unlock(&wring_link_lock);
	return count;
}

/* With the lock held: detaches what nothing can run any more. Whether there is something left to watch. */
static bool wring_link_sweep_locked(void)
{
	const struct wring_family_ops *ops;
	struct wring_link *link;
	bool left = false;
	LIST_HEAD(dead);
	int id;

	idr_for_each_entry(&wring_links, link, id) {
		ops = wring_link_ops(link);
		if (!ops->is_abandoned)
			continue;
		if (ops->is_abandoned(link))
			wring_link_unhook(link, &dead);
		else
			left = true;
	}
	wring_links_free(&dead);
	return left;
}

static void wring_link_sweep(struct work_struct *work)
{
	bool left;

	mutex_lock(&wring_link_lock);
	left = wring_link_sweep_locked();
	mutex_unlock(&wring_link_lock);
	if (left)
		schedule_delayed_work(&wring_link_sweep_work, SWEEP_INTERVAL);
}

static void __net_exit wring_link_net_exit(struct net *net)
{
	const struct wring_family_ops *ops;
	struct wring_link *link;
	LIST_HEAD(dead);
	int id;

	mutex_lock(&wring_link_lock);
	idr_for_each_entry(&wring_links, link, id) {
		ops = wring_link_ops(link);
		if (ops->is_in && ops->is_in(link, net))
			wring_link_unhook(link, &dead);
	}
	wring_links_free(&dead);
	mutex_unlock(&wring_link_lock);
}

/* ---- looking ---- */

int wring_link_describe(u32 id, const struct wring_program *program, struct wring_link_info *info)
{
	const struct wring_link *link;

	if (mutex_lock_killable(&wring_link_lock))
		return -EINTR;
	wring_link_sweep_locked();
	link = wring_link_find(id, program);
	if (link) {
		info->type = link->program->unit.family->type;
		info->prog_id = link->program->unit.id;
		memset(info->room, 0, sizeof(info->room));
		wring_link_ops(link)->describe(link, info);
	}
	mutex_unlock(&wring_link_lock);
	return link ? 0 : -ENOENT;
}

int wring_link_next(u32 id, u32 *next)
{
	bool found;
	int at = id;

	if (mutex_lock_killable(&wring_link_lock))
		return -EINTR;
	wring_link_sweep_locked();
	found = idr_get_next(&wring_links, &at);
	mutex_unlock(&wring_link_lock);
	if (!found)
		return -ENOENT;
	*next = at;
	return 0;
}

/* ---- life ---- */

static struct pernet_operations wring_link_net_ops = {
	.exit = wring_link_net_exit,
};

int wring_link_init(void)
{
	return register_pernet_subsys(&wring_link_net_ops);
}

void wring_link_exit(void)
{
	unregister_pernet_subsys(&wring_link_net_ops);
	cancel_delayed_work_sync(&wring_link_sweep_work);
	idr_destroy(&wring_links);
}
