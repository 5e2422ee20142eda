// SPDX-License-Identifier: GPL-2.0
/*
 * hook.c - hook types and links: which program runs where, by id.
 *
 * A link holds a reference on its program and on the module. It lasts until it is detached, or
 * until nothing can run it any more: a netfilter link goes with its network namespace, and one that
 * stands in for an eBPF stub is swept up when nobody else holds that stub, be it because its netdev
 * vanished or because a loader died halfway.
 */
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

#include "hook.h"
#include "wring.h"

#define SWEEP_INTERVAL (HZ)

static const struct wring_hook *const wring_hooks[] = {
	&wring_hook_xdp,
	&wring_hook_rawtp,
	&wring_hook_netfilter,
};

/*
 * Serializes everything that changes links. Taken within pernet operations, so rtnl must not be
 * taken inside.
 */
static DEFINE_MUTEX(wring_link_lock);
static DEFINE_IDR(wring_links);		/* under the lock */

static void wring_link_sweep(struct work_struct *work);
static DECLARE_DEFERRABLE_WORK(wring_link_sweep_work, wring_link_sweep);

/* ---- types ---- */

static const struct wring_hook *wring_hook_find(u32 type)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wring_hooks); i++) {
		if (wring_hooks[i]->type.type == type)
			return wring_hooks[i];
	}
	return NULL;
}

/**
 * wring_hook_type_find - what a type of hook asks of its programs
 * @type: enum wring_prog_type
 *
 * Context: any.
 * Return: the type, or NULL if there is no such hook.
 */
const struct wring_hook_type *wring_hook_type_find(u32 type)
{
	const struct wring_hook *hook = wring_hook_find(type);

	return hook ? &hook->type : NULL;
}

/**
 * wring_hook_types_loadable - types of programs that can be loaded for a hook
 *
 * Context: any.
 * Return: a bit per enum wring_prog_type.
 */
u32 wring_hook_types_loadable(void)
{
	u32 i, types = 0;

	for (i = 0; i < ARRAY_SIZE(wring_hooks); i++)
		types |= BIT(wring_hooks[i]->type.type);
	return types;
}

/**
 * wring_hook_types_attachable - types of programs that can be attached
 *
 * Context: any.
 * Return: a bit per enum wring_prog_type.
 */
u32 wring_hook_types_attachable(void)
{
	return wring_hook_types_loadable();
}

/* ---- links ---- */

/**
 * wring_link_for_each - visit the links of a hook
 * @hook: the hook
 * @fn: called for each, may not change any link
 * @arg: passed on
 *
 * Context: inside struct wring_hook::attach or ::detach.
 */
void wring_link_for_each(const struct wring_hook *hook,
			 void (*fn)(struct wring_link *link, void *arg), void *arg)
{
	struct wring_link *link;
	int id;

	lockdep_assert_held(&wring_link_lock);
	idr_for_each_entry(&wring_links, link, id) {
		if (link->hook == hook)
			fn(link, arg);
	}
}

static int wring_link_check(const struct wring_link_attach *attach, struct wring_report *report)
{
	size_t len = strnlen(attach->target, WRING_TARGET_LEN), i;

	if (attach->flags || attach->reserved)
		return wring_report_set(report, -EINVAL,
					"unknown flags or reserved fields are set");
	if (len == WRING_TARGET_LEN)
		return wring_report_set(report, -EINVAL, "target: not terminated");
	for (i = 0; i < len; i++) {
		if (attach->target[i] <= ' ' || attach->target[i] > '~')
			return wring_report_set(report, -EINVAL, "target: not printable");
	}
	return 0;
}

static struct wring_link *wring_link_new(struct wring_program *program,
					 const struct wring_link_attach *attach,
					 struct wring_report *report)
{
	const struct wring_hook *hook = wring_hook_find(program->type);
	struct wring_link *link;
	int err;

	if (!hook) {
		wring_report_set(report, -EINVAL, "the program was not loaded for a hook");
		return ERR_PTR(-EINVAL);
	}
	err = wring_may_attach(&hook->type, report);
	if (err)
		return ERR_PTR(err);
	link = kzalloc(sizeof(*link), WRING_GFP);
	if (!link) {
		wring_report_set(report, -ENOMEM, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	link->program = program;
	link->hook = hook;
	link->ifindex = attach->ifindex;
	strscpy(link->target, attach->target, sizeof(link->target));
	return link;
}

static int wring_link_attach_locked(struct wring_link *link, const struct wring_link_attach *attach,
				    struct wring_report *report)
{
	int id, err;

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
	err = link->hook->attach(link, attach, report);
	if (err)
		goto err_unlink;
	idr_replace(&wring_links, link, id);
	if (link->stub)
		schedule_delayed_work(&wring_link_sweep_work, SWEEP_INTERVAL);
	return 0;

err_unlink:
	wring_program_unlink(link->program);
err_id:
	idr_remove(&wring_links, id);
	return err;
}

/**
 * wring_link_attach - WRING_IOC_LINK_ATTACH
 * @attach: the request; its id is filled in
 * @report: filled in on failure
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno.
 */
int wring_link_attach(struct wring_link_attach *attach, struct wring_report *report)
{
	struct wring_program *program;
	struct wring_link *link;
	int err;

	err = wring_link_check(attach, report);
	if (err)
		return err;
	program = wring_program_get_fd(attach->prog_fd);
	if (IS_ERR(program))
		return wring_report_set(report, PTR_ERR(program), "prog_fd is not a program");
	link = wring_link_new(program, attach, report);
	err = PTR_ERR_OR_ZERO(link);
	if (err)
		goto out_put;
	mutex_lock(&wring_link_lock);
	err = wring_link_attach_locked(link, attach, report);
	if (!err)
		attach->id = link->id;	/* unlocked, the link may be gone at once */
	mutex_unlock(&wring_link_lock);
	if (err)
		kfree(link);
out_put:
	wring_program_put(program);
	return err;
}

/* With the lock held: takes a link off its hook and out of the registry, for wring_links_free. */
static void wring_link_unhook(struct wring_link *link, struct list_head *dead)
{
	lockdep_assert_held(&wring_link_lock);
	idr_remove(&wring_links, link->id);
	link->hook->detach(link);
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
	synchronize_rcu();
	list_for_each_entry_safe(link, next, dead, dead) {
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

/* Detaches one link of this program (NULL: of any): 0 or -ENOENT. */
static int wring_link_detach_one(u32 id, const struct wring_program *program)
{
	struct wring_link *link;
	LIST_HEAD(dead);

	mutex_lock(&wring_link_lock);
	link = wring_link_find(id, program);
	if (link) {
		wring_link_unhook(link, &dead);
		wring_links_free(&dead);
	}
	mutex_unlock(&wring_link_lock);
	return link ? 0 : -ENOENT;
}

/**
 * wring_links_detach - detach all links
 * @program: of this program; NULL: of any
 *
 * Whoever attaches meanwhile was there before, or comes afterwards.
 *
 * Context: process context, may sleep.
 * Return: how many there were.
 */
u32 wring_links_detach(const struct wring_program *program)
{
	struct wring_link *link;
	LIST_HEAD(dead);
	u32 count = 0;
	int id;

	mutex_lock(&wring_link_lock);
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

/**
 * wring_link_undo - take back an attachment that its maker cannot be told of
 * @id: the link's; it may be gone already
 *
 * Context: process context, may sleep.
 */
void wring_link_undo(u32 id)
{
	wring_link_detach_one(id, NULL);
}

/* The program that a command gives to prove that it may: referenced; NULL without the flag; or an ERR_PTR. */
static struct wring_program *wring_link_holder(u32 flags, int prog_fd, struct wring_report *report)
{
	struct wring_program *program;

	if (!(flags & WRING_LINK_F_PROG_FD)) {
		if (!prog_fd)
			return NULL;
		return ERR_PTR(wring_report_set(report, -EINVAL, "prog_fd without its flag"));
	}
	program = wring_program_get_fd(prog_fd);
	if (IS_ERR(program))
		wring_report_set(report, PTR_ERR(program), "prog_fd is not a program");
	return program;
}

static int wring_link_detach_check(const struct wring_link_detach *detach,
				   struct wring_report *report)
{
	bool all = detach->flags & WRING_LINK_F_ALL;

	if (detach->flags & ~(WRING_LINK_F_PROG_FD | WRING_LINK_F_ALL) || detach->reserved)
		return wring_report_set(report, -EINVAL,
					"unknown flags or reserved fields are set");
	if (all && (detach->id || detach->flags & WRING_LINK_F_PROG_FD))
		return wring_report_set(report, -EINVAL, "all links, and one of them");
	return 0;
}

/**
 * wring_link_detach - WRING_IOC_LINK_DETACH
 * @detach: the request; how many links it was is filled in
 * @report: filled in on failure
 *
 * When this returns 0 no program runs any more through those links.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, -EBADF, -EPERM or -ENOENT.
 */
int wring_link_detach(struct wring_link_detach *detach, struct wring_report *report)
{
	struct wring_program *holder;
	int err;

	err = wring_link_detach_check(detach, report);
	if (err)
		return err;
	holder = wring_link_holder(detach->flags, detach->prog_fd, report);
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	err = wring_may_detach(holder, report);
	if (err)
		goto out;
	if (detach->flags & WRING_LINK_F_ALL) {
		detach->detached = wring_links_detach(NULL);
	} else {
		err = wring_link_detach_one(detach->id, holder);
		detach->detached = !err;
		if (err)
			wring_report_set(report, err, "no such link");
	}
out:
	if (holder)
		wring_program_put(holder);
	return err;
}

/* With the lock held: detaches what nothing can run any more. Whether stubs are left to watch. */
static bool wring_link_sweep_locked(void)
{
	struct wring_link *link;
	bool left = false;
	LIST_HEAD(dead);
	int id;

	idr_for_each_entry(&wring_links, link, id) {
		if (!link->stub)
			continue;
		if (wring_stub_abandoned(link))
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

static void wring_link_describe(const struct wring_link *link, struct wring_link_info *info)
{
	info->type = link->hook->type.type;
	info->prog_id = link->program->id;
	info->stub_id = link->stub ? link->stub->aux->id : 0;
	info->ifindex = link->ifindex;
	info->pf = link->nf_ops.pf;
	info->hooknum = link->nf_ops.hooknum;
	info->priority = link->nf_ops.priority;
	info->netns_ino = link->net ? link->net->ns.inum : 0;
	info->reserved = 0;
	strscpy_pad(info->target, link->target, sizeof(info->target));
}

/**
 * wring_link_info - WRING_IOC_LINK_INFO
 * @info: the link's id and, maybe, its program's fd; the rest is filled in
 * @report: filled in on failure
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, -EBADF, -EPERM or -ENOENT.
 */
int wring_link_info(struct wring_link_info *info, struct wring_report *report)
{
	struct wring_program *holder;
	struct wring_link *link;
	int err;

	if (info->flags & ~WRING_LINK_F_PROG_FD || info->unused)
		return wring_report_set(report, -EINVAL,
					"unknown flags or reserved fields are set");
	holder = wring_link_holder(info->flags, info->prog_fd, report);
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	err = holder ? 0 : wring_may_look_up(report);
	if (err)
		goto out;
	mutex_lock(&wring_link_lock);
	wring_link_sweep_locked();
	link = wring_link_find(info->id, holder);
	if (link)
		wring_link_describe(link, info);
	else
		err = wring_report_set(report, -ENOENT, "no such link");
	mutex_unlock(&wring_link_lock);
out:
	if (holder)
		wring_program_put(holder);
	return err;
}

/**
 * wring_link_next_id - WRING_IOC_LINK_NEXT_ID
 * @next: the id to start behind; becomes the next link's
 * @report: filled in if the caller may not
 *
 * Context: process context, may sleep.
 * Return: 0, -EINVAL, -EPERM or, after the last, -ENOENT.
 */
int wring_link_next_id(struct wring_next_id *next, struct wring_report *report)
{
	int id, err;

	if (next->flags)
		return -EINVAL;
	err = wring_may_look_up(report);
	if (err)
		return err;
	if (next->id >= INT_MAX)
		return -ENOENT;
	id = next->id + 1;
	mutex_lock(&wring_link_lock);
	wring_link_sweep_locked();
	if (idr_get_next(&wring_links, &id))
		next->id = id;
	else
		err = -ENOENT;
	mutex_unlock(&wring_link_lock);
	return err;
}

/* ---- life ---- */

/* Netfilter links go with their network namespace. */
static void __net_exit wring_hook_net_exit(struct net *net)
{
	struct wring_link *link;
	LIST_HEAD(dead);
	int id;

	mutex_lock(&wring_link_lock);
	idr_for_each_entry(&wring_links, link, id) {
		if (link->net == net)
			wring_link_unhook(link, &dead);
	}
	wring_links_free(&dead);
	mutex_unlock(&wring_link_lock);
}

static struct pernet_operations wring_hook_net_ops = {
	.exit = wring_hook_net_exit,
};

/**
 * wring_hook_init - set hooks up and register their host functions
 *
 * Context: module initialization.
 * Return: 0 or a negative errno.
 */
int wring_hook_init(void)
{
	int err;

	err = wring_host_init();
	if (!err)
		err = wring_log_init();
	if (!err)
		err = register_pernet_subsys(&wring_hook_net_ops);
	return err;
}

/**
 * wring_hook_exit - undo wring_hook_init
 *
 * Context: module exit; no link exists.
 */
void wring_hook_exit(void)
{
	unregister_pernet_subsys(&wring_hook_net_ops);
	cancel_delayed_work_sync(&wring_link_sweep_work);
	idr_destroy(&wring_links);
}
