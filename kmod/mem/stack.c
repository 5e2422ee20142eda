// SPDX-License-Identifier: GPL-2.0
/*
 * stack.c - memory for stacks that programs run on.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "mem/mem.h"

void *wring_stack_alloc(u32 bytes, gfp_t gfp)
{
#if defined(CONFIG_KASAN_STACK) && !defined(CONFIG_KASAN_VMALLOC)
	/* Host functions write the shadow of their frames, and the vmalloc range has none that can be written. */
	return kzalloc(bytes, gfp);
#else
	return __vmalloc(bytes, gfp | __GFP_ZERO);
#endif
}

void wring_stack_free(void *stack)
{
	kvfree(stack);
}
