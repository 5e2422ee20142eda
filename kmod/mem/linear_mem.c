// SPDX-License-Identifier: GPL-2.0
/*
 * linear_mem.c - linear memories and growing tables: reservations of kernel address space, filled on demand.
 *
 * A 32-bit index plus a 32-bit offset stays within a memory's 8 GiB, so generated code needs no bounds checks: what is
 * not committed faults, and the code's exception table turns the fault into a trap.
 *
 * Giving address space back to the kernel costs a global TLB purge, and unmapping pages a flush on every CPU. So
 * released memories are kept for reuse, up to a bound, and so are their first pages, up to another: they stay
 * mapped, uncharged, for a memory that begins with at least so many, and are cleared then. Tables are rare and are
 * not kept.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "core/platform.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "os/compat.h"
#include "os/ksyms.h"
#include "os/os.h"

/* Accesses of up to a page at the last index and offset still end in the tail guard. */
#define RESERVATION_BYTES (WRING_MEMORY_RESERVED_BYTES + PAGE_SIZE)
#define POOL_MAX 64
/* Mapped pages that the pool keeps: of one reservation, and of all. */
#define KEPT_MAX (1ul << 20)
#define KEPT_TOTAL_MAX (16ul << 20)
/* Pages that are mapped at once, and bytes that are cleared, before others get a turn. */
#define COMMIT_BATCH 64
#define CLEAR_BATCH (1ul << 20)
/* Charged by the range instead (charge.c). */
#define PAGE_GFP (WRING_GFP & ~__GFP_ACCOUNT)

struct wring_reservation {
	struct vm_struct *area;
	struct obj_cgroup *owner;	/* of the charges; while in use */
	struct wring_space_user *user;	/* likewise */
	size_t mapped;			/* bytes from the start that have pages */
	struct list_head pages;		/* those, by lru, the last one first */
	size_t charged;			/* in use: the same, once it is committed; in the pool: 0 */
	struct list_head pool;
};

static DEFINE_MUTEX(wring_memory_lock);
/* All under the lock; lookups of live reservations by base need none. */
static DEFINE_XARRAY(wring_reservations);
static LIST_HEAD(wring_memory_pool);
static u32 wring_memory_used, wring_memory_pooled, wring_tables_used;
static size_t wring_memory_kept;	/* bytes mapped in the pool */

static unsigned long wring_memory_key(const void *base)
{
	return (unsigned long)base >> PAGE_SHIFT;
}

/* ---- pages ---- */

static void wring_pages_free(struct page **pages, unsigned int count)
{
	while (count--)
		__free_page(pages[count]);
}

/* Maps so many fresh pages behind those that are mapped. */
static int wring_pages_map(struct wring_reservation *reservation, unsigned int count)
{
	unsigned long address = (unsigned long)reservation->area->addr + reservation->mapped;
	unsigned long end = address + count * PAGE_SIZE;
	struct page *pages[COMMIT_BATCH] = {};
	unsigned int have = 0, now, i;

	while (have < count) {
		now = alloc_pages_bulk_array(PAGE_GFP | __GFP_ZERO, count, pages);
		if (now == have)
			goto err_free;
		have = now;
	}
	if (wring_k_vmap_pages_range_noflush(address, end, PAGE_KERNEL, pages, PAGE_SHIFT))
		goto err_unmap;
	for (i = 0; i < count; i++)
		list_add(&pages[i]->lru, &reservation->pages);
	reservation->mapped += count * PAGE_SIZE;
	return 0;

err_unmap:
	wring_k_vunmap_range(address, end);
err_free:
	wring_pages_free(pages, have);
	return -ENOMEM;
}

/* Unmaps and frees the pages of [from, mapped). */
static void wring_pages_unmap(struct wring_reservation *reservation, size_t from)
{
	unsigned long base = (unsigned long)reservation->area->addr;
	struct page *page;

	if (from >= reservation->mapped)
		return;
	wring_k_vunmap_range(base + from, base + reservation->mapped);
	for (; reservation->mapped > from; reservation->mapped -= PAGE_SIZE) {
		page = list_first_entry(&reservation->pages, struct page, lru);
		list_del(&page->lru);
		__free_page(page);
		if (reservation->mapped % CLEAR_BATCH == 0)
			cond_resched();
	}
}

/* Makes pages up to `bytes` accessible and zero: 0, or a negative errno with nothing more committed than before. */
static int wring_reservation_commit(struct wring_reservation *reservation, size_t bytes)
{
	size_t old = reservation->charged, kept = reservation->mapped, at, step;
	u8 *base = reservation->area->addr;
	int err;

	err = wring_charge(reservation->owner, bytes - old);
	if (err)
		return err;
	for (at = kept; at < bytes; at += step) {
		step = min_t(size_t, bytes - at, COMMIT_BATCH * PAGE_SIZE);
		err = fatal_signal_pending(current) ? -EINTR : 0;
		if (!err)
			err = wring_pages_map(reservation, step >> PAGE_SHIFT);
		if (err)
			goto err_unmap;
		cond_resched();
	}
	/* What was mapped before still holds what its last owner left. */
	for (at = old; at < min(kept, bytes); at += step) {
		step = min(min(kept, bytes) - at, CLEAR_BATCH);
		memset(base + at, 0, step);
		cond_resched();
	}
	reservation->charged = bytes;
	return 0;

err_unmap:
	wring_pages_unmap(reservation, kept);
	wring_uncharge(reservation->owner, bytes - old);
	return err;
}

/* ---- reservations ---- */

static struct wring_reservation *wring_reservation_find(const void *base)
{
	return xa_load(&wring_reservations, wring_memory_key(base));
}

static struct wring_reservation *wring_reservation_new(size_t bytes)
{
	struct wring_reservation *reservation;

	reservation = kzalloc(sizeof(*reservation), WRING_GFP);
	if (!reservation)
		return NULL;
	INIT_LIST_HEAD(&reservation->pages);
	reservation->area = wring_k_get_vm_area(bytes, WRING_VM_RESERVATION);
	if (!reservation->area)
		goto err_free;
	if (xa_err(xa_store(&wring_reservations, wring_memory_key(reservation->area->addr),
			    reservation, WRING_GFP)))
		goto err_area;
	return reservation;

err_area:
	free_vm_area(reservation->area);
err_free:
	kfree(reservation);
	return NULL;
}

static void wring_reservation_free(struct wring_reservation *reservation)
{
	wring_pages_unmap(reservation, 0);
	xa_erase(&wring_reservations, wring_memory_key(reservation->area->addr));
	free_vm_area(reservation->area);
	kfree(reservation);
}

/* What an area of so many bytes takes of the address space: its guard page too. */
static u64 wring_reservation_space(size_t bytes)
{
	return bytes + PAGE_SIZE;
}

/* Nobody uses it any more. */
static void wring_reservation_uncharge(struct wring_reservation *reservation)
{
	wring_space_give(reservation->user,
			 wring_reservation_space(get_vm_area_size(reservation->area)));
	reservation->user = NULL;
	wring_uncharge(reservation->owner, reservation->charged);
	wring_charge_put(reservation->owner);
	reservation->owner = NULL;
	reservation->charged = 0;
}

/* ---- linear memories ---- */

/* The best of the pool for a memory of so many bytes: the most pages that it can have as they are. With the lock. */
static struct wring_reservation *wring_memory_choose(size_t bytes)
{
	struct wring_reservation *reservation, *best = NULL;

	list_for_each_entry(reservation, &wring_memory_pool, pool) {
		if (reservation->mapped == bytes)
			return reservation;
		if (!best || (reservation->mapped < bytes && (best->mapped > bytes ||
							      best->mapped < reservation->mapped)))
			best = reservation;
	}
	return best;
}

/* For its user alone. */
static struct wring_reservation *wring_memory_get(size_t bytes)
{
	const u64 space = wring_reservation_space(RESERVATION_BYTES);
	struct wring_space_user *user = wring_space_take(space);
	struct wring_reservation *reservation;

	if (!user)
		return NULL;
	mutex_lock(&wring_memory_lock);
	reservation = wring_memory_choose(bytes);
	if (reservation) {
		list_del(&reservation->pool);
		wring_memory_pooled--;
		wring_memory_kept -= reservation->mapped;
	} else {
		reservation = wring_reservation_new(RESERVATION_BYTES);
	}
	if (reservation)
		wring_memory_used++;
	mutex_unlock(&wring_memory_lock);
	if (reservation)
		reservation->user = user;
	else
		wring_space_give(user, space);
	return reservation;
}

unsigned char *wring_os_memory_reserve(wring_size bytes)
{
	struct wring_reservation *reservation = wring_memory_get(bytes);

	if (!reservation)
		return NULL;
	/* What is accessible beyond the memory's size would not trap. */
	wring_pages_unmap(reservation, bytes);
	reservation->owner = wring_charge_owner();
	if (bytes && wring_reservation_commit(reservation, bytes)) {
		wring_os_memory_release(reservation->area->addr, 0);
		return NULL;
	}
	return reservation->area->addr;
}

int wring_os_memory_commit(unsigned char *base, wring_size old_bytes, wring_size new_bytes)
{
	struct wring_reservation *reservation = wring_reservation_find(base);

	if (WARN_ON_ONCE(!reservation || old_bytes != reservation->charged ||
			 new_bytes > WRING_MEMORY_RESERVED_BYTES))
		return -1;
	return wring_reservation_commit(reservation, new_bytes) ? -1 : 0;
}

void wring_os_memory_release(unsigned char *base, wring_size bytes)
{
	struct wring_reservation *reservation = wring_reservation_find(base);

	if (WARN_ON_ONCE(!reservation || bytes != reservation->charged))
		return;
	wring_reservation_uncharge(reservation);
	wring_pages_unmap(reservation, KEPT_MAX);

	mutex_lock(&wring_memory_lock);
	wring_memory_used--;
	if (wring_memory_kept + reservation->mapped > KEPT_TOTAL_MAX)
		wring_pages_unmap(reservation, 0);
	if (wring_memory_pooled < POOL_MAX) {
		list_add(&reservation->pool, &wring_memory_pool);
		wring_memory_pooled++;
		wring_memory_kept += reservation->mapped;
	} else {
		wring_reservation_free(reservation);
	}
	mutex_unlock(&wring_memory_lock);
}

/* ---- tables ---- */

void *wring_os_table_reserve(wring_size bytes)
{
	struct wring_space_user *user = wring_space_take(wring_reservation_space(bytes));
	struct wring_reservation *reservation;

	if (!user)
		return NULL;
	mutex_lock(&wring_memory_lock);
	reservation = wring_reservation_new(bytes);
	if (reservation) {
		reservation->owner = wring_charge_owner();
		reservation->user = user;
		wring_tables_used++;
	}
	mutex_unlock(&wring_memory_lock);
	if (reservation)
		return reservation->area->addr;
	wring_space_give(user, wring_reservation_space(bytes));
	return NULL;
}

int wring_os_table_commit(void *base, wring_size old_bytes, wring_size new_bytes)
{
	struct wring_reservation *reservation = wring_reservation_find(base);

	if (WARN_ON_ONCE(!reservation || old_bytes != reservation->charged ||
			 new_bytes > get_vm_area_size(reservation->area)))
		return -1;
	return wring_reservation_commit(reservation, new_bytes) ? -1 : 0;
}

void wring_os_table_release(void *base, wring_size reserved_bytes, wring_size committed_bytes)
{
	struct wring_reservation *reservation = wring_reservation_find(base);

	if (WARN_ON_ONCE(!reservation || committed_bytes != reservation->charged))
		return;
	wring_reservation_uncharge(reservation);
	mutex_lock(&wring_memory_lock);
	wring_tables_used--;
	wring_reservation_free(reservation);
	mutex_unlock(&wring_memory_lock);
}

void wring_memory_count(u32 *used, u32 *pooled)
{
	mutex_lock(&wring_memory_lock);
	*used = wring_memory_used;
	*pooled = wring_memory_pooled;
	mutex_unlock(&wring_memory_lock);
}

void wring_memory_exit(void)
{
	struct wring_reservation *reservation, *next;

	WARN_ON(wring_memory_used || wring_tables_used);
	list_for_each_entry_safe(reservation, next, &wring_memory_pool, pool)
		wring_reservation_free(reservation);
	WARN_ON(!xa_empty(&wring_reservations));
}
