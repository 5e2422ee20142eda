// SPDX-License-Identifier: GPL-2.0
/*
 * map.c - BPF maps in Wasm programs: binding them by fd, and the host functions that go through
 * map->ops.
 *
 * Counters in arrays are reached by generated code directly (struct wring_map_binding); everything
 * else is a call here. Keys and values are copied between the map and the guest's memory. The
 * operations are those that eBPF programs use, in the same contexts: under RCU, never sleeping,
 * this CPU's value of per-CPU maps.
 */
#include <linux/bpf.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "hooks/family.h"
#include "host/functions.h"
#include "host/map.h"
#include "os/compat.h"
#include "report.h"
#include "unit/unit.h"

/* Nesting of writes to maps on this CPU. */
static DEFINE_PER_CPU(int, wring_map_writes);

/* In units of fuel: a step from one node of a trie to the next, which no cache may have. */
#define TRIE_STEP_COST 64

/* What is copied at once, with nothing in between that could look at the time: some 100 us where all caches miss. */
#define MAX_VALUE_BYTES SZ_512K

/* ---- binding ---- */

static bool wring_map_type_known(const struct bpf_map *map)
{
	switch (map->map_type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		/* A map that lives on a device has none. */
		return map->ops->map_lookup_elem;
	default:
		return false;
	}
}

static int wring_map_check(const struct bpf_map *map, struct wring_report *report)
{
	if (!wring_map_type_known(map))
		return wring_report_set(report, -EOPNOTSUPP, "maps of type %u are not supported",
					map->map_type);
	/* Such values may not be copied to guests. */
	if (WRING_MAP_HAS_SPECIAL_FIELDS(map))
		return wring_report_set(report, -EOPNOTSUPP,
					"maps of locks, timers or kptrs are not supported");
	return 0;
}

static bool wring_map_is_per_cpu(const struct bpf_map *map)
{
	return map->map_type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       map->map_type == BPF_MAP_TYPE_PERCPU_HASH ||
	       map->map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static void wring_map_describe(struct bpf_map *map, struct wring_map_binding *binding)
{
	struct bpf_array *array = container_of(map, struct bpf_array, map);

	*binding = (struct wring_map_binding) {
		.kind = WRING_MAP_OPAQUE,
		.max_entries = map->max_entries,
		.value_bytes = map->value_size,
	};
	/* Generated code knows no access rights. */
	if (map->map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
		return;
	if (map->map_type == BPF_MAP_TYPE_ARRAY) {
		binding->kind = WRING_MAP_ARRAY;
		binding->elem_bytes = array->elem_size;
		binding->address = (unsigned long)array->value;
	} else if (map->map_type == BPF_MAP_TYPE_PERCPU_ARRAY) {
		binding->kind = WRING_MAP_PERCPU_ARRAY;
		binding->elem_bytes = array->elem_size;
		binding->address = (unsigned long)array->pptrs;
	}
}

int wring_map_bind(struct wring_map *slot, int fd, struct wring_report *report)
{
	struct bpf_map *map = bpf_map_get(fd);
	int err;

	if (IS_ERR(map))
		return wring_report_set(report, PTR_ERR(map), "not the file descriptor of a map");
	err = wring_map_check(map, report);
	if (err) {
		bpf_map_put(map);
		return err;
	}
	slot->map = map;
	wring_map_describe(map, &slot->binding);
	return 0;
}

void wring_map_unbind(struct wring_map *slot)
{
	bpf_map_put(slot->map);
	slot->map = NULL;
}

/* ---- host functions ---- */

/* The map of a handle, or NULL: handles are numbers, and the guest may make them up. */
static struct bpf_map *wring_map_of(const struct wring_vmctx *vmctx, u32 handle)
{
	const struct wring_unit *unit = wring_vmctx_unit(vmctx);

	if (handle >= unit->map_count)
		return NULL;
	return unit->maps[array_index_nospec(handle, unit->map_count)].map;
}

/*
 * The key to look up: of arrays, a copy that is in bounds even where that is mispredicted. (The map's own masks are for
 * maps that somebody without CAP_PERFMON has made.) NULL: no such element.
 */
static void *wring_map_key(const struct bpf_map *map, void *key, u32 *copy)
{
	if (map->map_type != BPF_MAP_TYPE_ARRAY && map->map_type != BPF_MAP_TYPE_PERCPU_ARRAY)
		return key;
	*copy = READ_ONCE(*(u32 *)key);
	if (*copy >= map->max_entries)
		return NULL;
	*copy = array_index_nospec(*copy, map->max_entries);
	return copy;
}

/* With wring_map_enter. */
static void *wring_map_find(struct bpf_map *map, void *key)
{
	u32 index;

	key = wring_map_key(map, key, &index);
	return key ? map->ops->map_lookup_elem(map, key) : NULL;
}

/* Whether the guest can pay for finding a key, and for copying so many bytes besides. */
static bool wring_map_pay(struct wring_vmctx *vmctx, const struct bpf_map *map, u64 bytes)
{
	/* A trie may have a node for each bit of the key. */
	if (map->map_type == BPF_MAP_TYPE_LPM_TRIE &&
	    wring_guest_charge(vmctx, (u64)map->key_size * BITS_PER_BYTE * TRIE_STEP_COST))
		return false;
	return !wring_guest_pay(vmctx, map->key_size + bytes);
}

/* What an update writes: of a new element of a per-CPU hash, the values of all CPUs. */
static u64 wring_map_update_bytes(const struct bpf_map *map)
{
	return map->map_type == BPF_MAP_TYPE_PERCPU_HASH ||
			       map->map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH ?
		       (u64)round_up(map->value_size, 8) * num_possible_cpus() :
		       map->value_size;
}

static bool wring_map_readable(const struct bpf_map *map)
{
	return !(map->map_flags & BPF_F_WRONLY_PROG);
}

static bool wring_map_writable(const struct bpf_map *map)
{
	return !(map->map_flags & BPF_F_RDONLY_PROG);
}

/* Hooks stay on their CPU; what runs in process context may not. */
static void wring_map_enter(const struct wring_vmctx *vmctx)
{
	if (vmctx->may_sleep)
		preempt_disable();
	rcu_read_lock();
}

static void wring_map_leave(const struct wring_vmctx *vmctx)
{
	rcu_read_unlock();
	if (vmctx->may_sleep)
		preempt_enable();
}

static bool wring_runs_anywhere(const struct wring_vmctx *vmctx)
{
	const struct wring_family *family = wring_vmctx_unit(vmctx)->family;

	return family && family->contexts == WRING_HOOK_ANYWHERE;
}

/*
 * Locks that a map takes to be written and does not guard against whoever interrupts it: what runs
 * anywhere must not come back for them.
 */
static bool wring_map_has_bare_locks(const struct bpf_map *map)
{
	return map->map_type == BPF_MAP_TYPE_LPM_TRIE || map->map_type == BPF_MAP_TYPE_LRU_HASH ||
	       map->map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/*
 * Maps take locks to be written, and a tracepoint may be hit inside: its program must not come back
 * for the same lock. Hash maps guard theirs, but while a lock is waited for (hooks/rawtp.c keeps
 * programs away from there); this covers the rest. 0, or why not.
 */
static int wring_map_write_begin(const struct wring_vmctx *vmctx, const struct bpf_map *map)
{
	if (!wring_map_writable(map))
		return -EPERM;
	if (wring_map_has_bare_locks(map) && wring_runs_anywhere(vmctx))
		return -EOPNOTSUPP;
	wring_map_enter(vmctx);
	if (this_cpu_inc_return(wring_map_writes) == 1)
		return 0;
	this_cpu_dec(wring_map_writes);
	wring_map_leave(vmctx);
	return -EBUSY;
}

static void wring_map_write_end(const struct wring_vmctx *vmctx)
{
	this_cpu_dec(wring_map_writes);
	wring_map_leave(vmctx);
}

u32 wring_host_map_lookup(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr, u32 value_ptr)
{
	struct bpf_map *map = wring_map_of(vmctx, handle);
	void *key, *out, *value;

	if (!map)
		return -EBADF;
	if (map->value_size > MAX_VALUE_BYTES)
		return -E2BIG;
	key = wring_guest_bytes(vmctx, key_ptr, map->key_size);
	out = wring_guest_bytes(vmctx, value_ptr, map->value_size);
	if (!key || !out || !wring_map_pay(vmctx, map, map->value_size))
		return 0;
	if (!wring_map_readable(map))
		return -EPERM;
	wring_map_enter(vmctx);
	value = wring_map_find(map, key);
	if (value)
		memcpy(out, value, map->value_size);
	wring_map_leave(vmctx);
	return value ? 0 : -ENOENT;
}

u32 wring_host_map_update(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr, u32 value_ptr,
				 u64 flags)
{
	struct bpf_map *map = wring_map_of(vmctx, handle);
	void *key, *value;
	u32 index;
	int err;

	if (!map)
		return -EBADF;
	if (map->value_size > MAX_VALUE_BYTES)
		return -E2BIG;
	key = wring_guest_bytes(vmctx, key_ptr, map->key_size);
	/* Per-CPU hash maps read values in whole 8-byte words. */
	value = wring_guest_bytes(vmctx, value_ptr, round_up((u64)map->value_size, 8));
	if (!key || !value || !wring_map_pay(vmctx, map, wring_map_update_bytes(map)))
		return 0;
	if (flags > BPF_EXIST)
		return -EINVAL;
	err = wring_map_write_begin(vmctx, map);
	if (err)
		return err;
	key = wring_map_key(map, key, &index);
	err = key ? map->ops->map_update_elem(map, key, value, flags) : -E2BIG;
	wring_map_write_end(vmctx);
	return err;
}

u32 wring_host_map_delete(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr)
{
	struct bpf_map *map = wring_map_of(vmctx, handle);
	void *key;
	int err;

	if (!map)
		return -EBADF;
	key = wring_guest_bytes(vmctx, key_ptr, map->key_size);
	if (!key || !wring_map_pay(vmctx, map, 0))
		return 0;
	err = wring_map_write_begin(vmctx, map);
	if (err)
		return err;
	err = map->ops->map_delete_elem(map, key);
	wring_map_write_end(vmctx);
	return err;
}

/*
 * The u64 at `offset` of element `index` of a map with 4-byte keys, or NULL. With wring_map_enter.
 */
static u64 *wring_map_word(struct bpf_map *map, u32 index, u32 offset)
{
	void *value;

	if (map->key_size != sizeof(index) || map->map_type == BPF_MAP_TYPE_LPM_TRIE)
		return NULL;
	if (offset % sizeof(u64) || (u64)offset + sizeof(u64) > map->value_size)
		return NULL;
	value = wring_map_find(map, &index);
	return value ? value + offset : NULL;
}

/* Intrinsic map_add out of line: 0, or -1 if there is no such element. */
u32 wring_host_map_add(struct wring_vmctx *vmctx, u32 handle, u32 index, u32 offset, u64 n)
{
	struct bpf_map *map = wring_map_of(vmctx, handle);
	u64 *word;

	if (!map || !wring_map_writable(map))
		return -1;
	wring_map_enter(vmctx);
	word = wring_map_word(map, index, offset);
	if (word && wring_map_is_per_cpu(map))
		*word += n;
	else if (word)
		atomic64_add(n, (atomic64_t *)word);
	wring_map_leave(vmctx);
	return word ? 0 : -1;
}

/* Intrinsic map_load64 out of line: 0 if there is no such element. */
u64 wring_host_map_load64(struct wring_vmctx *vmctx, u32 handle, u32 index, u32 offset)
{
	struct bpf_map *map = wring_map_of(vmctx, handle);
	u64 *word, value = 0;

	if (!map || !wring_map_readable(map))
		return 0;
	wring_map_enter(vmctx);
	word = wring_map_word(map, index, offset);
	if (word)
		value = READ_ONCE(*word);
	wring_map_leave(vmctx);
	return value;
}

/* bpf_map_get's; kernels before 6.12 have no such namespace and need none. */
MODULE_IMPORT_NS(BPF_INTERNAL);
