// SPDX-License-Identifier: GPL-2.0
/*
 * charge.c - accounts of linear memory and executable memory with the memory cgroup of whoever made it.
 *
 * The pages themselves are allocated uncharged and charged by the range: pages that are kept for reuse change owners
 * without being looked at one by one, and the allocator of executable memory charges nobody.
 */
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include "mem/mem.h"
#include "os/compat.h"
#include "os/ksyms.h"
#include "os/os.h"

#if WRING_HAS_MEMCG

/* The kernel compares what it is asked to charge with what a CPU has in stock in 32 bits: 4 GiB would be nothing. */
#define PIECE_MAX ((size_t)SZ_1G)

static struct obj_cgroup *wring_obj_cgroup_get(void)
{
#if WRING_CURRENT_OBJ_CGROUP
	struct obj_cgroup *owner = wring_k_current_obj_cgroup();

	if (owner)
		obj_cgroup_get(owner);
	return owner;
#else
	return wring_k_get_obj_cgroup_from_current();
#endif
}

struct obj_cgroup *wring_charge_owner(void)
{
	return wring_obj_cgroup_get();
}

int wring_charge(struct obj_cgroup *owner, size_t bytes)
{
	size_t done, piece;

	if (!owner)
		return 0;
	for (done = 0; done < bytes; done += piece) {
		piece = min(bytes - done, PIECE_MAX);
		if (wring_k_obj_cgroup_charge(owner, WRING_GFP, piece)) {
			wring_uncharge(owner, done);
			return -ENOMEM;
		}
	}
	return 0;
}

void wring_uncharge(struct obj_cgroup *owner, size_t bytes)
{
	size_t done, piece;

	if (!owner)
		return;
	for (done = 0; done < bytes; done += piece) {
		piece = min(bytes - done, PIECE_MAX);
		wring_k_obj_cgroup_uncharge(owner, piece);
	}
}

void wring_charge_put(struct obj_cgroup *owner)
{
	if (owner)
		obj_cgroup_put(owner);
}

#else

struct obj_cgroup *wring_charge_owner(void)
{
	return NULL;
}

int wring_charge(struct obj_cgroup *owner, size_t bytes)
{
	return 0;
}

void wring_uncharge(struct obj_cgroup *owner, size_t bytes)
{
}

void wring_charge_put(struct obj_cgroup *owner)
{
}

#endif
