// SPDX-License-Identifier: GPL-2.0
/*
 * linear_mem.c - linear memories: 8 GiB reservations of kernel address space, filled with pages on demand.
 *
 * A 32-bit index plus a 32-bit offset stays within the reservation, so generated code needs no bounds checks:
 * what is not committed faults, and the code's exception table turns the fault into a trap. Giving address space back
 * to the kernel costs a global TLB purge, so released reservations are unmapped (which flushes just what was
 * mapped) and kept for reuse, up to a bound. Their page tables stay with them.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "compat.h"
#include "core/platform.h"
#include "ksyms.h"
#include "wring.h"

/* Accesses of up to a page at the last index and offset still end in the tail guard. */
#define RESERVATION_BYTES (WRING_MEMORY_RESERVED_BYTES + PAGE_SIZE)
#define POOL_MAX 64
#define COMMIT_BATCH 16

struct wring_reservation {
	struct vm_struct *area;
	struct list_head pages;		/* committed pages, by lru; owned by the memory's user */
	struct list_head pool;
};

static DEFINE_MUTEX(wring_memory_lock);
/* All under the lock; lookups of live reservations by base need none. */
static DEFINE_XARRAY(wring_reservations);
static LIST_HEAD(wring_memory_pool);
static u32 wring_memory_used, wring_memory_pooled, wring_memory_max;

static unsigned long wring_memory_key(const void *base)
{
	return (unsigned long)base >> PAGE_SHIFT;
}

/**
 * wring_memory_init - decide how many reservations there may be
 *
 * Context: module initialization.
 */
void wring_memory_init(void)
{
	/* Leave a quarter of the vmalloc space to the rest of the kernel. */
	wring_memory_max =
		min_t(u64, (VMALLOC_END - VMALLOC_START) / (RESERVATION_BYTES + PAGE_SIZE) / 4 * 3,
		      1u << 20);
}

static void wring_reservation_free(struct wring_reservation *reservation)
{
	xa_erase(&wring_reservations, wring_memory_key(reservation->area->addr));
	free_vm_area(reservation->area);
	kfree(reservation);
}

static struct wring_reservation *wring_reservation_new(void)
{
	struct wring_reservation *reservation;

	reservation = kzalloc(sizeof(*reservation), WRING_GFP);
	if (!reservation)
		return NULL;
	INIT_LIST_HEAD(&reservation->pages);
	reservation->area = wring_k_get_vm_area(RESERVATION_BYTES, WRING_VM_RESERVATION);
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

unsigned char *wring_os_memory_reserve(void)
{
	struct wring_reservation *reservation = NULL;

	mutex_lock(&wring_memory_lock);
	if (!list_empty(&wring_memory_pool)) {
		reservation = list_first_entry(&wring_memory_pool, struct wring_reservation, pool);
		list_del(&reservation->pool);
		wring_memory_pooled--;
	} else if (wring_memory_used < wring_memory_max) {
		reservation = wring_reservation_new();
	}
	if (reservation)
		wring_memory_used++;
	mutex_unlock(&wring_memory_lock);
	return reservation ? reservation->area->addr : NULL;
}

static void wring_pages_free(struct list_head *pages)
{
	struct page *page, *next;
	unsigned int n = 0;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_page(page);
		if (++n % 1024 == 0)
			cond_resched();
	}
}

/* Maps COMMIT_BATCH fresh pages at address and adds them to the list. */
static int wring_memory_commit_batch(unsigned long address, struct list_head *list)
{
	struct page *pages[COMMIT_BATCH];
	int i, n;

	for (n = 0; n < COMMIT_BATCH; n++) {
		pages[n] = alloc_page(WRING_GFP | __GFP_ZERO);
		if (!pages[n])
			goto err_free;
	}
	if (wring_k_vmap_pages_range_noflush(address, address + COMMIT_BATCH * PAGE_SIZE,
					     PAGE_KERNEL, pages, PAGE_SHIFT))
		goto err_unmap;
	for (i = 0; i < n; i++)
		list_add(&pages[i]->lru, list);
	return 0;

err_unmap:
	wring_k_vunmap_range(address, address + COMMIT_BATCH * PAGE_SIZE);
err_free:
	while (n--)
		__free_page(pages[n]);
	return -ENOMEM;
}

int wring_os_memory_commit(unsigned char *base, wring_size old_bytes, wring_size new_bytes)
{
	unsigned long begin = (unsigned long)base + old_bytes,
		      end = (unsigned long)base + new_bytes;
	struct wring_reservation *reservation;
	unsigned long address;
	LIST_HEAD(pages);

	BUILD_BUG_ON(WRING_WASM_PAGE_BYTES % (COMMIT_BATCH * PAGE_SIZE));
	reservation = xa_load(&wring_reservations, wring_memory_key(base));
	if (WARN_ON_ONCE(!reservation || new_bytes > WRING_MEMORY_RESERVED_BYTES))
		return -1;
	for (address = begin; address < end; address += COMMIT_BATCH * PAGE_SIZE) {
		if (fatal_signal_pending(current) || wring_memory_commit_batch(address, &pages))
			goto err_undo;
		cond_resched();
	}
	list_splice(&pages, &reservation->pages);
	return 0;

err_undo:
	if (address > begin)
		wring_k_vunmap_range(begin, address);
	wring_pages_free(&pages);
	return -1;
}

void wring_os_memory_release(unsigned char *base, wring_size bytes)
{
	struct wring_reservation *reservation =
		xa_load(&wring_reservations, wring_memory_key(base));

	if (WARN_ON_ONCE(!reservation))
		return;
	if (bytes)
		wring_k_vunmap_range((unsigned long)base, (unsigned long)base + bytes);
	wring_pages_free(&reservation->pages);

	mutex_lock(&wring_memory_lock);
	wring_memory_used--;
	if (wring_memory_pooled < POOL_MAX) {
		list_add(&reservation->pool, &wring_memory_pool);
		wring_memory_pooled++;
	} else {
		wring_reservation_free(reservation);
	}
	mutex_unlock(&wring_memory_lock);
}

/**
 * wring_memory_count - what the module holds of the kernel's address space
 * @used: reservations in use
 * @pooled: reservations kept for reuse
 *
 * Context: may sleep.
 */
void wring_memory_count(u32 *used, u32 *pooled)
{
	mutex_lock(&wring_memory_lock);
	*used = wring_memory_used;
	*pooled = wring_memory_pooled;
	mutex_unlock(&wring_memory_lock);
}

/**
 * wring_memory_exit - give the pooled reservations back
 *
 * Context: module exit: none is in use.
 */
void wring_memory_exit(void)
{
	struct wring_reservation *reservation, *next;

	WARN_ON(wring_memory_used);
	list_for_each_entry_safe(reservation, next, &wring_memory_pool, pool)
		wring_reservation_free(reservation);
	WARN_ON(!xa_empty(&wring_reservations));
}
