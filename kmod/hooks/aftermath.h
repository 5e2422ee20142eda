/* SPDX-License-Identifier: GPL-2.0 */
/*
 * aftermath.h - what becomes of a hook's program after its traps.
 */
#ifndef WRING_HOOKS_AFTERMATH_H
#define WRING_HOOKS_AFTERMATH_H

#include <linux/types.h>

struct wring_program;
struct wring_program_cpu;
struct wring_vmctx;

/* Module initialization: 0 or -ENOMEM; and exit, when no program exists. What is queued is over after a flush. */
int wring_aftermath_setup(void);
void wring_aftermath_flush(void);
void wring_aftermath_teardown(void);

/*
 * Prepares a program whose per-CPU states exist and whose limits are set; the caller's memory cgroup is charged for
 * instances made anew. 0 or -ENOMEM. May sleep.
 */
int wring_aftermath_init(struct wring_program *program, u32 on_trap);
/* Undoes it, whatever it returned, or if it was not called: nothing runs the program any more. May sleep. */
void wring_aftermath_exit(struct wring_program *program);

/*
 * In hooks, any context, migration disabled: sees to what the loader wants done. The CPU's vmctx is still the caller's.
 */
void wring_aftermath_of_trap(struct wring_program_cpu *cpu, u32 reason);
/* Whether an invocation, which has found this vmctx, did not run because its instance is being made anew. */
bool wring_aftermath_of_miss(struct wring_program *program, const struct wring_vmctx *vmctx);

#endif /* WRING_HOOKS_AFTERMATH_H */
