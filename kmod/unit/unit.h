/* SPDX-License-Identifier: GPL-2.0 */
/*
 * unit.h - a unit: compiled code, what it was made from, what it may use, and who answers for it. There is one behind
 * every vmctx, be it a program's or a plain instance's, and host functions get at it from there.
 *
 * What a unit is part of (struct wring_program, an instance of a session) counts references and frees it.
 */
#ifndef WRING_UNIT_UNIT_H
#define WRING_UNIT_UNIT_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include "core/engine.h"
#include "uapi/wring.h"

struct wring_family;
struct wring_map;
struct wring_text;

/* Constant once it is built. */
struct wring_unit {
	u32 id;				/* the program's, or 0 */
	char name[WRING_NAME_LEN];
	u8 tag[8];			/* first bytes of the binary's SHA-256 */
	const struct wring_family *family;	/* NULL: not for a hook */
	u32 groups;			/* WRING_HOST_*: which host functions it may import */

	struct wring_store *store;
	struct wring_module *module;
	struct wring_code *code;
	struct wring_text *text;	/* executable memory */
	struct wring_map *maps;		/* by handle */
	u32 map_count;
	bool writes_packet;		/* it imports what stores into packets */
	bool takes_locks;		/* or what takes locks of the kernel */
	bool logs;			/* or what writes to the trace */
	bool clamped;			/* bounds checks hold under speculation */

	/* Of one invocation. */
	u64 fuel;
	u32 time_us;			/* at hooks */
	u32 stack_bytes;

	u64 module_bytes;
	u64 load_time_ns;
	u64 compile_ns;			/* what all took up to machine code */
	kuid_t uid;			/* the loader's */
};

/* What wring_vmctx::host points to. */
struct wring_owner {
	struct wring_unit *unit;
};

/* The unit that runs on a vmctx. Any context. */
static inline struct wring_unit *wring_vmctx_unit(const struct wring_vmctx *vmctx)
{
	const struct wring_owner *owner = vmctx->host;

	return owner->unit;
}

#endif /* WRING_UNIT_UNIT_H */
