// SPDX-License-Identifier: GPL-2.0
/*
 * recovery.c - where the engine goes on when one of its invariants is broken (core/platform.h): recovery points are
 * found by their seal, on the stack they lie on.
 *
 * A seal is the point's own address and a secret, so that nothing a guest leaves on a stack, nor what a point leaves
 * behind in a frame, can pass for one. The search goes up from where the invariant broke. It needs no list, hence
 * neither locks nor a notion of the context it is in, and works on every stack: a task's, a program's own, that of an
 * interrupt. Nobody but the engine's own frames lies between an engine function and its recovery point.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/rethook.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <asm/processor.h>

#include "core/platform.h"
#include "os/ksyms.h"
#include "os/os.h"

/* More than the engine's frames ever take: it runs on kernel stacks. */
#define SEARCH_BYTES THREAD_SIZE

static unsigned long wring_recovery_secret __ro_after_init;
static atomic64_t wring_recovery_broken = ATOMIC64_INIT(0);

void __init wring_recovery_init(void)
{
	wring_recovery_secret = get_random_long();
}

u64 wring_recovery_count(void)
{
	return atomic64_read(&wring_recovery_broken);
}

static unsigned long wring_recovery_seal(unsigned long address)
{
	return wring_recovery_secret ^ address;
}

/*
 * Who watches functions return, keeps the return addresses of calls that are going on in lists of the task: the
 * function graph tracer, and kretprobes and fprobes by rethooks. Calls that are abandoned have to leave those lists,
 * else later ones return to where these were called from. The functions that see to that must not be on the lists
 * themselves: notrace, NOKPROBE_SYMBOL.
 */
static __always_inline void wring_calls_note(struct wring_recovery *point)
{
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	point->host = current->curr_ret_stack;
#endif
#ifdef CONFIG_RETHOOK
	point->probes = current->rethooks.first;
#endif
}

static __always_inline void wring_calls_abandon(struct wring_recovery *point)
{
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	current->curr_ret_stack = point->host;
#endif
#ifdef CONFIG_RETHOOK
	preempt_disable_notrace();
	while (current->rethooks.first && current->rethooks.first != point->probes) {
		struct llist_node *node = current->rethooks.first;

		current->rethooks.first = node->next;
		node->next = NULL;
		wring_k_rethook_recycle(container_of(node, struct rethook_node, llist));
	}
	preempt_enable_notrace();
#endif
}

notrace void wring_os_recovery_begin(struct wring_recovery *point)
{
	wring_calls_note(point);
	WRITE_ONCE(point->seal, wring_recovery_seal((unsigned long)point));
}
NOKPROBE_SYMBOL(wring_os_recovery_begin);

notrace void wring_os_recovery_end(struct wring_recovery *point)
{
	WRITE_ONCE(point->seal, 0);
}
NOKPROBE_SYMBOL(wring_os_recovery_end);

struct wring_recovery *wring_os_recovery(void)
{
	unsigned long at = ALIGN(current_stack_pointer, sizeof(at)), end = at + SEARCH_BYTES, word;

	for (; at < end; at += sizeof(at)) {
		/* The stack may end on any page, in a hole. */
		if (offset_in_page(at) < sizeof(at) &&
		    get_kernel_nofault(word, (unsigned long *)at))
			return NULL;
		if (READ_ONCE_NOCHECK(*(unsigned long *)at) == wring_recovery_seal(at))
			return (struct wring_recovery *)at;
	}
	return NULL;
}

notrace void wring_os_panic(const char *what, struct wring_recovery *point)
{
	atomic64_inc(&wring_recovery_broken);
	if (!point) {
		pr_crit("internal error: %s\n", what);
		BUG();
	}
	pr_err_ratelimited("internal error: %s\n", what);
}
NOKPROBE_SYMBOL(wring_os_panic);

notrace void wring_os_recovery_resume(struct wring_recovery *point)
{
	wring_calls_abandon(point);
}
NOKPROBE_SYMBOL(wring_os_recovery_resume);
