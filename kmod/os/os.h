/* SPDX-License-Identifier: GPL-2.0 */
/*
 * os.h - the running kernel as the module sees it, besides what the engine asks of it (core/platform.h): how memory is
 * asked for, deferred work, what generated code must look like, the FPU.
 */
#ifndef WRING_OS_H
#define WRING_OS_H

#include <linux/gfp.h>
#include <linux/types.h>

struct wring_target;
struct workqueue_struct;

/*
 * For everything whose size the user chooses: charged to the caller's memory cgroup, and a failure rather than the
 * OOM killer when that is full.
 */
#define WRING_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* main.c: for what is freed after an RCU grace period, and must be before the module goes. */
extern struct workqueue_struct *wring_wq;

/* ---- recovery.c: broken invariants of the engine ---- */

/* Module initialization, before the engine is used. */
void wring_recovery_init(void);
/* How many there were. Any context. */
u64 wring_recovery_count(void);

/* ---- wait.c: tasks that wait for an address ---- */

/* Module initialization. */
void wring_wait_init(void);

/* ---- x86/target.c: what generated code must look like ---- */

/* Module initialization: 0, or -ENODEV, after saying in the log what is missing, on a CPU that is too old. */
int wring_target_check(void);
/*
 * Fills in what this CPU has and the kernel's mitigations ask for now (the BPF hardening setting may change later);
 * `clamp`: bounds checks are to hold under speculation. Any context.
 */
void wring_target_get(struct wring_target *target, bool clamp);
/* The same as WRING_MITIGATION_* and WRING_CPU_* bits of uapi/wring.h. Any context. */
u32 wring_target_mitigations(const struct wring_target *target);
u32 wring_target_cpu(const struct wring_target *target);

/* ---- x86/fpu.c: vector registers at hooks ---- */

/*
 * Called by generated code around programs that use them (struct wring_hook_entry). Any context, NMI included. begin
 * returns 1, or 0 if what was interrupted may be using them: then the program must not run, and there is no end.
 */
u32 wring_hook_fpu_begin(void);
void wring_hook_fpu_end(void);

#endif /* WRING_OS_H */
