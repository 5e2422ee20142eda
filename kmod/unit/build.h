/* SPDX-License-Identifier: GPL-2.0 */
/*
 * build.h - from a binary to a unit that runs, one way for all kinds: bytes, module, bind, compile, place, instantiate,
 * start.
 *
 * A failing step leaves what is there to wring_unit_release. All return 0 or a negative errno with the report filled
 * in, and may sleep; loads of one store take turns.
 */
#ifndef WRING_UNIT_BUILD_H
#define WRING_UNIT_BUILD_H

#include <linux/types.h>

#include "core/engine.h"

struct wring_hook_entry;
struct wring_owner;
struct wring_report;
struct wring_unit;

/* A module's binary, copied from the user. */
struct wring_bytes {
	void *data;
	u32 len;
	u8 tag[8];			/* first bytes of its SHA-256 */
	u64 user;			/* where it came from */
};
int wring_bytes_get(struct wring_bytes *bytes, u64 user, u64 len, struct wring_report *report);
/* Successful or not. */
void wring_bytes_put(struct wring_bytes *bytes);

/* A store for modules with these limits. */
int wring_unit_store_new(const struct wring_limits *limits, struct wring_store **out,
			 struct wring_report *report);
/* Decodes and validates, nothing else. */
int wring_unit_validate(struct wring_store *store, const struct wring_bytes *bytes,
			struct wring_report *report);
/* The unit has a name, a family and a store: its module, and what security modules say of it. */
int wring_unit_decode(struct wring_unit *unit, const struct wring_bytes *bytes,
		      struct wring_report *report);
/*
 * Binds, compiles and places: the unit's groups, maps and `clamped` (as asked for) are set. `values` are as for
 * wring_bind_imports, `hook` describes the entry to be made, or is NULL.
 */
int wring_unit_compile(struct wring_unit *unit, const struct wring_import_value *values,
		       u32 value_count, const struct wring_hook_entry *hook,
		       struct wring_report *report);
/*
 * Makes an instance and runs its start function on the stack, of unit->stack_bytes (not needed if there is no start
 * function), with that much fuel. On failure there is none. vmctx->host becomes the owner.
 */
int wring_unit_instantiate(const struct wring_unit *unit, const struct wring_import_value *values,
			   u32 value_count, struct wring_owner *owner, void *stack, u64 fuel,
			   struct wring_instance **out, struct wring_report *report);
/* Gives back what was made, complete or not, but the store. Nothing runs it any more. */
void wring_unit_release(struct wring_unit *unit);

#endif /* WRING_UNIT_BUILD_H */
