// SPDX-License-Identifier: GPL-2.0
/*
 * stack.c - the stacks that programs at hooks run on: a few per CPU, shared by all programs.
 *
 * How much is left of the stack that a hook is hit on, nobody knows: a task's at any depth, an interrupt's, the 4 KiB
 * of an NMI. So an entry takes nothing of it but its own few words and runs the program on one of these (generated code
 * does so, struct wring_hook_entry). That also bounds how deep programs nest, be it that interrupts interrupt each
 * other's programs or that what a program calls hits a tracepoint with another one: who finds no stack left is a miss.
 * How long they nest is bounded by the time that the outermost one has (wring_lib_nest).
 */
#include <linux/mutex.h>
#include <linux/percpu.h>

#include "core/engine.h"
#include "hooks/stack.h"
#include "unit/limits.h"
#include "mem/mem.h"
#include "os/compat.h"

/* One for each context that can interrupt the one before: task, softirq, hardirq, NMI. */
#define STACKS_PER_CPU 4

struct wring_cpu_stacks {
	void *memory[STACKS_PER_CPU];
};

static DEFINE_MUTEX(wring_hook_stack_lock);
static bool wring_hook_stacks_made;	/* under the lock */
static DEFINE_PER_CPU(struct wring_cpu_stacks, wring_cpu_stacks);
/* The next stack of this CPU to be taken. Changed by generated code only, once there are stacks. */
static DEFINE_PER_CPU(struct wring_hook_stack *, wring_hook_stack_next);

void wring_hook_stacks_exit(void)
{
	struct wring_cpu_stacks *stacks;
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		stacks = per_cpu_ptr(&wring_cpu_stacks, cpu);
		per_cpu(wring_hook_stack_next, cpu) = NULL;
		for (i = 0; i < STACKS_PER_CPU; i++) {
			wring_stack_free(stacks->memory[i]);
			stacks->memory[i] = NULL;
		}
	}
}

/* They stay until the module goes, so they are charged to nobody. */
static int wring_cpu_stacks_make(unsigned int cpu)
{
	struct wring_cpu_stacks *stacks = per_cpu_ptr(&wring_cpu_stacks, cpu);
	struct wring_hook_stack *next = NULL;
	unsigned int i;

	for (i = 0; i < STACKS_PER_CPU; i++) {
		stacks->memory[i] =
			wring_stack_alloc(WRING_HOOK_STACK_BYTES, GFP_KERNEL | __GFP_NOWARN);
		if (!stacks->memory[i])
			return -ENOMEM;
		next = wring_hook_stack_init(stacks->memory[i], WRING_HOOK_STACK_BYTES, next);
	}
	per_cpu(wring_hook_stack_next, cpu) = next;
	return 0;
}

int wring_hook_stacks_ensure(void)
{
	unsigned int cpu;
	int err = 0;

	mutex_lock(&wring_hook_stack_lock);
	if (!wring_hook_stacks_made) {
		for_each_possible_cpu(cpu) {
			err = wring_cpu_stacks_make(cpu);
			if (err)
				break;
		}
		if (err)
			wring_hook_stacks_exit();
		else
			wring_hook_stacks_made = true;
	}
	mutex_unlock(&wring_hook_stack_lock);
	return err;
}

void wring_hook_stacks_describe(struct wring_hook_entry *entry)
{
	entry->percpu_stacks = (__force unsigned long)&wring_hook_stack_next;
	if (IS_ENABLED(CONFIG_PREEMPT_COUNT))
		entry->percpu_preempt_count = (__force unsigned long)&WRING_PERCPU_PREEMPT_COUNT;
}
