/* SPDX-License-Identifier: GPL-2.0 */
/*
 * table.h - the host functions that guests can import: host.def, for those who bind imports.
 */
#ifndef WRING_HOST_TABLE_H
#define WRING_HOST_TABLE_H

#include <linux/security.h>
#include <linux/types.h>

struct wring_extern_desc;

/* Who may import a function: units have the groups of their kind (struct wring_unit::groups). */
#define WRING_HOST_ALL_PROGRAMS	(1u << 0)	/* any program, WRING_PROG_MODULEs included */
#define WRING_HOST_INSTANCES	(1u << 1)	/* plain instances */
#define WRING_HOST_PACKET	(1u << 2)	/* hooks with a packet */
#define WRING_HOST_ARGUMENTS	(1u << 3)	/* hooks with arguments */
#define WRING_HOST_TASK		(1u << 4)	/* hooks that a task hits, on its own behalf */

/*
 * A C function guests can import: R address(struct wring_vmctx *, args...), called directly by generated code. Types
 * are letters as in struct wring_extern_desc. An intrinsic is expanded by the compiler, and `address` is its
 * out-of-line form; in start functions those that read a hook's data find none: no packet, no arguments.
 */
struct wring_host_function {
	const char *module;
	const char *name;
	const char *params;	/* without the vmctx */
	const char *results;
	void *address;		/* NULL: an intrinsic that always is expanded */
	u32 groups;		/* WRING_HOST_*: any of them will do */
	bool is_intrinsic;
	bool needs_hook;	/* looks at what is there while a hook runs: not for start functions */
	bool may_trap;		/* may set vmctx->trap_reason */
	bool may_sleep;		/* only for WRING_PROG_MODULE and instances */
	bool writes_packet;
	bool takes_locks;	/* of the kernel: not where its lock code itself may be what is interrupted */
	/*
	 * What a call costs, in units of fuel: of a simple instruction, about. What depends on the arguments the
	 * function charges itself (wring_guest_pay).
	 */
	u32 cost;
	/*
	 * What it reaches beyond the guest: LOCKDOWN_BPF_READ_KERNEL (kernel memory of the guest's choice),
	 * LOCKDOWN_BPF_WRITE_USER, or LOCKDOWN_NONE. A kernel that is locked down has no such function.
	 */
	enum lockdown_reason reach;
	bool logs;		/* a unit that imports it needs wring_log_enable */
};

/* The function of an import's names, whatever its type; NULL if there is none. Any context. */
const struct wring_host_function *wring_host_find(const struct wring_extern_desc *import);

#endif /* WRING_HOST_TABLE_H */
