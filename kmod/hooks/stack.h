/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stack.h - the stacks that programs at hooks run on.
 */
#ifndef WRING_HOOKS_STACK_H
#define WRING_HOOKS_STACK_H

struct wring_hook_entry;

/* Makes them, once, before the first program of a hook is compiled. 0 or -ENOMEM. May sleep. */
int wring_hook_stacks_ensure(void);
/* Module exit: no program exists. */
void wring_hook_stacks_exit(void);
/* Tells generated code where they are: percpu_stacks and percpu_preempt_count. Any context. */
void wring_hook_stacks_describe(struct wring_hook_entry *entry);

#endif /* WRING_HOOKS_STACK_H */
