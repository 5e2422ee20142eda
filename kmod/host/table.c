// SPDX-License-Identifier: GPL-2.0
/*
 * table.c - host.def as a table to look functions up in.
 */
#include <linux/kernel.h>

#include "core/engine.h"
#include "host/functions.h"
#include "host/table.h"
#include "report.h"

/* The words of its groups. */
#define ALL_PROGRAMS	WRING_HOST_ALL_PROGRAMS
#define INSTANCES	WRING_HOST_INSTANCES
#define PACKET		WRING_HOST_PACKET
#define ARGUMENTS	WRING_HOST_ARGUMENTS
#define TASK		WRING_HOST_TASK

#define ROW(intrinsic, module_, name_, params_, results_, symbol, groups_, cost_, ...)	\
	{										\
		.module = module_,							\
		.name = name_,								\
		.params = params_,							\
		.results = results_,							\
		.address = symbol,							\
		.groups = groups_,							\
		.is_intrinsic = intrinsic,						\
		.cost = cost_,								\
		##__VA_ARGS__								\
	},

static const struct wring_host_function wring_host_functions[] = {
#define HOST(...) ROW(false, __VA_ARGS__)
#define INTRINSIC(Name, ...) ROW(true, __VA_ARGS__)
#include "host/host.def"
#undef HOST
#undef INTRINSIC
};

const struct wring_host_function *wring_host_find(const struct wring_extern_desc *import)
{
	const struct wring_host_function *function;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wring_host_functions); i++) {
		function = &wring_host_functions[i];
		if (wring_text_is(import->module, function->module) &&
		    wring_text_is(import->name, function->name))
			return function;
	}
	return NULL;
}
