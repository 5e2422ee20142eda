// SPDX-License-Identifier: GPL-2.0
/*
 * space.c - how much address space reservations may take: all of them together, and those of one user.
 *
 * A reservation costs next to no memory, so memory cgroups do not keep anybody from taking all there is; and what is
 * left of the vmalloc range is what the kernel's own stacks and modules live on.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/vmalloc.h>

#include "mem/space.h"
#include "os/os.h"

/* More than any machine needs, where the range has petabytes. */
#define SPACE_MAX (1ull << 53)

struct wring_space_user {
	kuid_t uid;
	u64 bytes;
	struct list_head list;
};

static DEFINE_SPINLOCK(wring_space_lock);
/* All under the lock. */
static LIST_HEAD(wring_space_users);
static u64 wring_space_used;

/* A quarter of the range is left to the rest of the kernel. */
static u64 wring_space_total(void)
{
	return min_t(u64, (VMALLOC_END - VMALLOC_START) / 4 * 3, SPACE_MAX);
}

static struct wring_space_user *wring_space_user_find(kuid_t uid)
{
	struct wring_space_user *user;

	list_for_each_entry(user, &wring_space_users, list) {
		if (uid_eq(user->uid, uid))
			return user;
	}
	return NULL;
}

struct wring_space_user *wring_space_take(u64 bytes)
{
	struct wring_space_user *fresh = kzalloc(sizeof(*fresh), WRING_GFP), *user;
	u64 total = wring_space_total(), most;

	if (!fresh)
		return NULL;
	fresh->uid = current_uid();
	most = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN) ? total : total / 2;
	spin_lock(&wring_space_lock);
	user = wring_space_user_find(fresh->uid);
	if (bytes > total - wring_space_used || bytes + (user ? user->bytes : 0) > most) {
		user = NULL;
		goto out;
	}
	if (!user) {
		user = fresh;
		list_add(&user->list, &wring_space_users);
		fresh = NULL;
	}
	user->bytes += bytes;
	wring_space_used += bytes;
out:
	spin_unlock(&wring_space_lock);
	kfree(fresh);
	return user;
}

void wring_space_give(struct wring_space_user *user, u64 bytes)
{
	bool last;

	spin_lock(&wring_space_lock);
	wring_space_used -= bytes;
	user->bytes -= bytes;
	last = !user->bytes;
	if (last)
		list_del(&user->list);
	spin_unlock(&wring_space_lock);
	if (last)
		kfree(user);
}
