/* SPDX-License-Identifier: GPL-2.0 */
/*
 * map.h - what differs between kernels about the BPF maps that programs use.
 */
#ifndef WRING_MAP_H
#define WRING_MAP_H

#include <linux/bpf.h>
#include <linux/version.h>

/*
 * Whether values have parts that are the kernel's: locks, timers, pointers. Such values may not be
 * copied to guests.
 */
static inline bool wring_map_has_special_fields(const struct bpf_map *map)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	return !IS_ERR_OR_NULL(map->record);
#else
	return map_value_has_spin_lock(map) || map_value_has_timer(map) || map_value_has_kptrs(map);
#endif
}

#endif /* WRING_MAP_H */
