/* SPDX-License-Identifier: GPL-2.0 */
/*
 * map.h - the BPF maps that units use.
 */
#ifndef WRING_HOST_MAP_H
#define WRING_HOST_MAP_H

#include "core/engine.h"
#include "uapi/wring.h"

struct bpf_map;
struct wring_report;

/* A map of a unit; its handle is its index in wring_unit::maps. */
struct wring_map {
	char name[WRING_NAME_LEN];
	struct bpf_map *map;		/* referenced */
	struct wring_map_binding binding;	/* how generated code reaches it */
};

/* Imports of this module name with signature () -> i32 are map handles: the import's name is the map's. */
#define WRING_MAP_IMPORT_MODULE "wring_map"

/*
 * Binds slot->map and ->binding to the map of an fd of the calling process. 0, or a negative errno with the report
 * filled in and nothing to undo: -EBADF or -EINVAL if it is no map's fd, -EOPNOTSUPP if programs cannot use such maps.
 * May sleep.
 */
int wring_map_bind(struct wring_map *slot, int fd, struct wring_report *report);
/* Gives it back: the unit cannot run any more. May sleep. */
void wring_map_unbind(struct wring_map *slot);

#endif /* WRING_HOST_MAP_H */
