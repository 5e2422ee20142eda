// SPDX-License-Identifier: GPL-2.0
/*
 * wait.c - memory.atomic.wait and notify: tasks that wait for an address of linear memory, hashed by it.
 */
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include "core/platform.h"
#include "os/os.h"

#define BUCKET_BITS 6

struct wring_wait_bucket {
	spinlock_t lock;
	struct list_head waiters;	/* the longest waiting first */
};

/* On the stack of the task that waits; on a bucket's list until it is woken or gives up. */
struct wring_waiter {
	struct list_head list;
	struct task_struct *task;
	const void *address;
	bool is_woken;
};

static struct wring_wait_bucket wring_wait_buckets[1 << BUCKET_BITS];

void wring_wait_init(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wring_wait_buckets); i++) {
		spin_lock_init(&wring_wait_buckets[i].lock);
		INIT_LIST_HEAD(&wring_wait_buckets[i].waiters);
	}
}

static struct wring_wait_bucket *wring_wait_bucket(const void *address)
{
	return &wring_wait_buckets[hash_ptr(address, BUCKET_BITS)];
}

static u64 wring_wait_value(const void *address, u32 bytes)
{
	return bytes == sizeof(u32) ? READ_ONCE(*(const u32 *)address) :
				      READ_ONCE(*(const u64 *)address);
}

/* Until the waiter is woken, the time is up or the task is being killed. */
static void wring_wait_sleep(const struct wring_waiter *waiter, long long timeout_ns)
{
	ktime_t until = ktime_add_safe(ktime_get(), max(timeout_ns, 0ll));

	for (;;) {
		set_current_state(TASK_KILLABLE | TASK_FREEZABLE_UNSAFE);
		if (READ_ONCE(waiter->is_woken) || fatal_signal_pending(current))
			break;
		if (!schedule_hrtimeout(timeout_ns < 0 ? NULL : &until, HRTIMER_MODE_ABS))
			break;
	}
	__set_current_state(TASK_RUNNING);
}

enum wring_wait_result wring_os_wait(const void *address, unsigned int bytes,
				     unsigned long long expected, long long timeout_ns)
{
	struct wring_wait_bucket *bucket = wring_wait_bucket(address);
	struct wring_waiter waiter = { .task = current, .address = address };

	/* Nobody could end that. */
	if (current->flags & PF_KTHREAD)
		return WRING_WAIT_INTERRUPTED;
	spin_lock(&bucket->lock);
	if (wring_wait_value(address, bytes) != expected) {
		spin_unlock(&bucket->lock);
		return WRING_WAIT_NOT_EQUAL;
	}
	list_add_tail(&waiter.list, &bucket->waiters);
	spin_unlock(&bucket->lock);

	wring_wait_sleep(&waiter, timeout_ns);

	/* Whoever wakes us is done with the waiter when the lock is free. */
	spin_lock(&bucket->lock);
	if (!waiter.is_woken)
		list_del(&waiter.list);
	spin_unlock(&bucket->lock);
	if (waiter.is_woken)
		return WRING_WAIT_WOKEN;
	return fatal_signal_pending(current) ? WRING_WAIT_INTERRUPTED : WRING_WAIT_TIMED_OUT;
}

unsigned int wring_os_notify(const void *address, unsigned int count)
{
	struct wring_wait_bucket *bucket = wring_wait_bucket(address);
	struct wring_waiter *waiter, *next;
	unsigned int woken = 0;

	spin_lock(&bucket->lock);
	list_for_each_entry_safe(waiter, next, &bucket->waiters, list) {
		if (woken == count)
			break;
		if (waiter->address != address)
			continue;
		list_del(&waiter->list);
		WRITE_ONCE(waiter->is_woken, true);
		wake_up_process(waiter->task);
		woken++;
	}
	spin_unlock(&bucket->lock);
	return woken;
}
