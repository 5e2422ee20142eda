// SPDX-License-Identifier: GPL-2.0
/*
 * plant.c - mistakes made on purpose, in modules built for fault injection (WRING_INJECT) alone: what a debug kernel is
 * there to notice, so that its silence elsewhere means something. Elsewhere than in a VM they are what they are.
 *
 * A mistake's name written to /sys/module/wring/parameters/plant makes it (selftests: run-tests' `planted`).
 */
#ifdef WRING_INJECT

#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#include "core/engine.h"

#define RACE_ROUNDS 2000000

static void wring_plant_slab(void)
{
	char *freed = kzalloc(64, GFP_KERNEL);

	if (!freed)
		return;
	kfree(freed);
	READ_ONCE(freed[8]);
}

static void wring_plant_vmalloc(void)
{
	char *area = vmalloc(100);

	if (!area)
		return;
	READ_ONCE(area[100]);
	vfree(area);
}

/* The engine, in C++, fills in a record that is longer than its memory (not than what kmalloc rounds that up to). */
static void wring_plant_engine(void)
{
	size_t room = offsetof(struct wring_error, function) + 32;
	struct wring_error *error = kzalloc(room, GFP_KERNEL);
	struct wring_store *store;
	struct wring_module *module;

	BUILD_BUG_ON(sizeof(*error) > 256);
	if (error && !wring_store_new(NULL, &store)) {
		wring_module_new(store, "none", 4, &module, error);
		wring_store_put(store);
	}
	kfree(error);
}

static void wring_plant_list(void)
{
	LIST_HEAD(head);
	LIST_HEAD(entry);

	list_add(&entry, &head);
	list_add(&entry, &head);
}

static void wring_plant_expired(struct timer_list *timer)
{
}

/* Made anew while it is armed. */
static void wring_plant_object(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, wring_plant_expired, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	timer_setup(timer, wring_plant_expired, 0);
	timer_delete_sync(timer);
	kfree(timer);
}

static void wring_plant_rcu(void)
{
	static void __rcu *pointer;

	rcu_dereference(pointer);
}

static DEFINE_MUTEX(wring_plant_first);
static DEFINE_MUTEX(wring_plant_second);

static void wring_plant_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	mutex_lock(&wring_plant_first);
	mutex_unlock(&wring_plant_first);
	spin_unlock(&lock);
}

static void wring_plant_locks(void)
{
	mutex_lock(&wring_plant_first);
	mutex_lock(&wring_plant_second);
	mutex_unlock(&wring_plant_second);
	mutex_unlock(&wring_plant_first);
	mutex_lock(&wring_plant_second);
	mutex_lock(&wring_plant_first);
	mutex_unlock(&wring_plant_first);
	mutex_unlock(&wring_plant_second);
}

static void wring_plant_leak(void)
{
	char *lost = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(lost);
}

static unsigned long wring_plant_raced;

static int wring_plant_racer(void *unused)
{
	unsigned int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		wring_plant_raced++;
		barrier();
		if (i % 1024 == 0)
			cond_resched();
	}
	return 0;
}

static void wring_plant_race(void)
{
	struct task_struct *racer = kthread_create(wring_plant_racer, NULL, "wring_racer");

	if (IS_ERR(racer))
		return;
	get_task_struct(racer);
	wake_up_process(racer);
	wring_plant_racer(NULL);
	kthread_stop(racer);
	put_task_struct(racer);
}

static const struct {
	const char *name;
	void (*make)(void);
} wring_mistakes[] = {
	{ "slab", wring_plant_slab }, { "vmalloc", wring_plant_vmalloc },
	{ "engine", wring_plant_engine }, { "list", wring_plant_list },
	{ "object", wring_plant_object }, { "rcu", wring_plant_rcu },
	{ "sleep", wring_plant_sleep }, { "locks", wring_plant_locks },
	{ "leak", wring_plant_leak }, { "race", wring_plant_race },
};

static int wring_plant_set(const char *text, const struct kernel_param *param)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wring_mistakes); i++) {
		if (sysfs_streq(text, wring_mistakes[i].name)) {
			wring_mistakes[i].make();
			return 0;
		}
	}
	return -EINVAL;
}

static const struct kernel_param_ops wring_plant_ops = { .set = wring_plant_set };
module_param_cb(plant, &wring_plant_ops, NULL, 0200);

#endif
