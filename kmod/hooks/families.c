// SPDX-License-Identifier: GPL-2.0
/*
 * families.c - the table of families: uapi/hooks.def with the operations of each.
 */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/netfilter.h>
#include <linux/nospec.h>

#include "hooks/family.h"
#include "host/table.h"

#define HOOK(TYPE, family, ...) extern const struct wring_family_ops wring_##family##_ops;
#include "uapi/hooks.def"
#undef HOOK

/* The words of the table's last column. */
#define PACKET		WRING_HOST_PACKET
#define ARGUMENTS	WRING_HOST_ARGUMENTS
#define TASK		WRING_HOST_TASK

static const struct wring_family wring_families[] = {
#define HOOK(TYPE, family, name_, section, capability_, lowest, highest, default_, verdicts,	\
	     contexts_, groups_)				\
	[WRING_PROG_##TYPE] = {						\
		.type = WRING_PROG_##TYPE,				\
		.name = name_,						\
		.capability = capability_,				\
		.verdict_min = lowest,					\
		.verdict_max = highest,					\
		.default_verdict = default_,				\
		.contexts = WRING_HOOK_##contexts_,			\
		.groups = WRING_HOST_ALL_PROGRAMS | (groups_),		\
		.ops = &wring_##family##_ops,				\
	},
#include "uapi/hooks.def"
#undef HOOK
};

const struct wring_family *wring_family_find(u32 type)
{
	if (type >= ARRAY_SIZE(wring_families))
		return NULL;
	type = array_index_nospec(type, ARRAY_SIZE(wring_families));
	return wring_families[type].ops ? &wring_families[type] : NULL;
}

u32 wring_family_types(void)
{
	u32 type, types = 0;

	for (type = 0; type < ARRAY_SIZE(wring_families); type++) {
		if (wring_families[type].ops)
			types |= BIT(type);
	}
	return types;
}
