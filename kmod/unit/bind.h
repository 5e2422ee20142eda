/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bind.h - satisfying a module's imports.
 */
#ifndef WRING_UNIT_BIND_H
#define WRING_UNIT_BIND_H

#include <linux/types.h>

#include "core/engine.h"

struct wring_report;
struct wring_unit;

/* struct wring_extern_desc::kind, as in the binary format. */
enum {
	WRING_EXTERN_FUNC,
	WRING_EXTERN_TABLE,
	WRING_EXTERN_MEMORY,
	WRING_EXTERN_GLOBAL,
	WRING_EXTERN_TAG,
};

/*
 * Decides what each import of a unit's module is: an export of another instance where `values` (NULL, or one per
 * import) has one, else a map or a host function. What comes out is one binding per imported function, to be kvfree'd
 * (NULL if there are none), and their number; what the unit then does is noted in it (struct wring_unit). 0 or a
 * negative errno with the report filled in. Types of what other instances export are the engine's to check, in
 * wring_instance_new. May sleep.
 */
int wring_bind_imports(struct wring_unit *unit, const struct wring_import_value *values,
		       u32 value_count, struct wring_binding **out, u32 *count,
		       struct wring_report *report);

#endif /* WRING_UNIT_BIND_H */
