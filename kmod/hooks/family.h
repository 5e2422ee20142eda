/* SPDX-License-Identifier: GPL-2.0 */
/*
 * family.h - what a kind of hook is: its row of uapi/hooks.def and the operations of its file in this folder.
 */
#ifndef WRING_HOOKS_FAMILY_H
#define WRING_HOOKS_FAMILY_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "core/engine.h"
#include "uapi/wring.h"

struct net;
struct wring_link;
struct wring_program;
struct wring_report;

/* Where programs run, see hooks.def. */
enum wring_hook_contexts {
	WRING_HOOK_SOFTIRQ,
	WRING_HOOK_ANYWHERE,
};

/*
 * What links of a family do. Called with the lock of link.c held, and may sleep, unless said otherwise; NULL is for
 * "never" or "nothing".
 */
struct wring_family_ops {
	enum bpf_prog_type bpf_type;	/* what comes nearest in eBPF: for security modules */
	struct wring_hook_layout layout;	/* where generated code finds a hook's input */
	int skb_offset;			/* likewise: struct sk_buff *; -1: there is none */
	size_t link_bytes;		/* of a struct that begins with struct wring_link */
	size_t attach_bytes;		/* how much of the union in struct wring_link_attach is its */
	/* Checks the request and notes where the link is to be. 0, or a negative errno with the report filled in. */
	int (*prepare)(struct wring_link *link, const struct wring_link_attach *attach,
		       struct wring_report *report);
	/* Whether what hits one of these links hits the other. NULL: there is only one. */
	bool (*is_beside)(const struct wring_link *link, const struct wring_link *other);
	/* Makes the hook run link->program. 0, or a negative errno with the report filled in and nothing to undo. */
	int (*attach)(struct wring_link *link, const struct wring_link_attach *attach,
		      struct wring_report *report);
	/* Takes the program off its hook. Invocations that have begun may still run. */
	void (*detach)(struct wring_link *link);
	/* After a grace period of RCU and of tracepoints: gives back what they used. */
	void (*release)(struct wring_link *link);
	/* Fills in the family's part of the union, which is zero. */
	void (*describe)(const struct wring_link *link, struct wring_link_info *info);
	/* Whether nothing can run the link's program any more, as nobody would tell: asked every second. */
	bool (*is_abandoned)(const struct wring_link *link);
	/* Whether the link has to go with a network namespace. */
	bool (*is_in)(const struct wring_link *link, const struct net *net);
	/*
	 * WRING_IOC_PROG_RUN, without the lock: run->data_in.. are user pointers, run->error is handled by the caller.
	 * Fills in the out fields.
	 */
	int (*run)(struct wring_program *program, struct wring_prog_run *run,
		   struct wring_report *report);
};

/* Constant. */
struct wring_family {
	u32 type;			/* enum wring_prog_type */
	const char *name;		/* "xdp" */
	int capability;
	u32 verdict_min, verdict_max, default_verdict;
	enum wring_hook_contexts contexts;
	u32 groups;			/* WRING_HOST_*: of host functions */
	const struct wring_family_ops *ops;
};

/* families.c: the family of that type, or NULL if there is no such hook. Any context. */
const struct wring_family *wring_family_find(u32 type);
/* Bits of all families' types. Any context. */
u32 wring_family_types(void);

#endif /* WRING_HOOKS_FAMILY_H */
