/* SPDX-License-Identifier: GPL-2.0 */
/*
 * program.h - loaded programs: a unit with one instance per possible CPU (hooks) or a single one (WRING_PROG_MODULE).
 *
 * Its file descriptors, its links and the registry's keep flag hold references; the last put frees it after an RCU
 * grace period, so a hook that runs under RCU needs no reference.
 */
#ifndef WRING_UNIT_PROGRAM_H
#define WRING_UNIT_PROGRAM_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/seqlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "unit/unit.h"

struct cred;
struct mem_cgroup;
struct wring_report;

/* ---- per CPU ---- */

/* The last trap on one CPU. Written by that CPU (guarded by vmctx->turns), read by anyone. */
struct wring_trap_record {
	seqcount_t seq;
	u64 time_ns;
	u32 reason;
	u32 frame_count;
	struct wring_trap_frame frames[WRING_MAX_TRAP_FRAMES];
};

/* Why an invocation did not run the program, beyond what the engine knows (enum wring_hook_miss). */
enum wring_host_miss {
	WRING_MISS_RESET = WRING_MISS_ENGINE_COUNT,	/* its instance is being made anew, after a trap */
	WRING_MISS_READ_ONLY,	/* it stores into packets, and this one cannot be made writable */
	WRING_MISS_COUNT
};

/* Runs and fuel are counted by generated code (wring_instance_usage). */
struct wring_counters {
	u64 run_time_ns;		/* while kernel.bpf_stats_enabled is set */
	u64 traps;
	u64 misses[WRING_MISS_COUNT];
	u64 bad_verdicts;
};

/*
 * A program's state on one CPU. vmctx->host of each of its instances points to `owner`. The hook's entry code loads
 * `vmctx` from its per-CPU address (struct wring_hook_entry::percpu_vmctx).
 */
struct wring_program_cpu {
	struct wring_owner owner;
	struct wring_vmctx *vmctx;	/* the instance's; or, while that is made anew, aftermath.parked */
	/* These of hooks' programs are changed under instances_lock. */
	struct wring_instance *instance;
	void *stack;			/* made when first needed; at hooks: only for private_stack */
	struct wring_usage past;	/* of instances that there were before */
	bool renew;			/* aftermath.c's */
	struct wring_counters counters;	/* this_cpu operations: NMI-safe */
	struct wring_trap_record trap;
};

/* hooks/aftermath.c: what becomes of a hook's program after its traps. */
struct wring_aftermath {
	struct irq_work irq;
	struct work_struct work;	/* holds a reference on the program while it is queued, as irq does */
	unsigned long not_before;	/* jiffies: when instances may be made anew again; the work item's own */
	atomic_t detach;		/* asked of the work item */
	atomic_t traps, timeouts;	/* counted where there is a limit */
	/* What a CPU without an instance has in its place: always in use. NULL if instances are never made anew. */
	struct wring_vmctx *parked;
	unsigned long retry_at;		/* jiffies; 0: nothing to be tried again */
	/* The loader's, referenced, only with `parked`: for whom instances are made anew. */
	struct mem_cgroup *memcg;
	const struct cred *cred;
};

/* ---- programs ---- */

/* Fields are constant once the program is loaded unless said otherwise. */
struct wring_program {
	struct wring_unit unit;
	refcount_t refs;
	u32 type;			/* enum wring_prog_type */
	u32 default_verdict;
	/* The hook's native entry: u32 entry(void *ctx), any context; NULL: WRING_PROG_MODULE. */
	u32 (*entry)(void *ctx);
	u32 entry_func;
	char entry_name[WRING_EXPORT_LEN];

	struct wring_program_cpu __percpu *cpu;
	u32 instance_count;		/* num_possible_cpus(), or 1: then the lowest possible CPU's */
	u32 on_trap;			/* enum wring_on_trap */
	u32 trap_limit, timeout_limit;	/* at hooks: it is detached after so many; 0: never */
	u32 arg_count;			/* at hooks: hook_arg_count of the instances; under instances_lock */
	bool private_stack;		/* a hook's program that was given more than the CPU's stacks have */

	/* Invocations of a WRING_PROG_MODULE's exports take turns. */
	struct mutex invoke_lock;
	/* Instances of a hook's program may be exchanged. Taken within link.c's lock, nothing else within it. */
	struct mutex instances_lock;
	struct wring_aftermath aftermath;
	/* Links; changed by wring_program_link and wring_program_unlink. */
	atomic_t links;
	bool keep;			/* the registry's reference; under its lock */
	/* Frees it all; called once when nothing can run it any more. May sleep. */
	void (*destroy)(struct wring_program *program);
	struct rcu_work free_work;
};

/* The state that a hook's vmctx belongs to, and the program it is of. Any context. */
static inline struct wring_program_cpu *wring_program_cpu(const struct wring_vmctx *vmctx)
{
	return container_of((struct wring_owner *)vmctx->host, struct wring_program_cpu, owner);
}

static inline struct wring_program *wring_program_of(const struct wring_program_cpu *cpu)
{
	return container_of(cpu->owner.unit, struct wring_program, unit);
}

/* ---- instances ---- */

/* Makes the per-CPU states, empty. 0 or -ENOMEM with the report filled in. May sleep. */
int wring_program_alloc_cpus(struct wring_program *program, struct wring_report *report);
/* Puts the instances, stacks and states there are. Nothing may run the program any more. May sleep. */
void wring_program_free_cpus(struct wring_program *program);
/* Makes its instances, start functions run. 0 or a negative errno with the report filled in. May sleep. */
int wring_program_instantiate(struct wring_program *program, struct wring_report *report);
/*
 * Exchanges a CPU's instance, which nothing runs on any more, for a fresh one, and makes hooks find that; its start
 * function may use as much fuel as an invocation. On failure (a negative errno) the old one stays, out of reach. May
 * sleep.
 */
int wring_program_renew(struct wring_program *program, unsigned int cpu);
/* How many arguments (at most WRING_MAX_HOOK_ARGS) a hook's programs may read from now on. May sleep. */
void wring_program_set_args(struct wring_program *program, u32 count);
/* What the program's invocations on a CPU have used so far, and what its memories take. May sleep. */
void wring_program_usage(struct wring_program *program, unsigned int cpu, struct wring_usage *out);
u64 wring_program_memory(struct wring_program *program, unsigned int cpu);

/* ---- references ---- */

/* Any context that may not race with the last put. */
static inline void wring_program_get(struct wring_program *program)
{
	refcount_inc(&program->refs);
}

/* Any context: the work of freeing is deferred. */
void wring_program_put(struct wring_program *program);

/*
 * A link takes (and returns) a reference and counts itself: the program cannot be unloaded and the module stays in
 * memory meanwhile. -EBUSY if the module is going. May sleep.
 */
int wring_program_link(struct wring_program *program);
void wring_program_unlink(struct wring_program *program);

/* ---- the registry. May sleep ---- */

/* Gives a program, which has one reference, its id. 0 or a negative errno with the report filled in. */
int wring_program_register(struct wring_program *program, struct wring_report *report);
/* The program of an id, referenced, or NULL; and the smallest id from `id` (at most INT_MAX) on, or -ENOENT. */
struct wring_program *wring_program_find(u32 id);
int wring_program_next(u32 id, u32 *next);
/* Takes a reference that lasts until it is taken back; -EBUSY, if it is to be, while there are links. */
void wring_program_keep(struct wring_program *program);
int wring_program_unkeep(struct wring_program *program, bool unless_linked);
/* Programs not freed yet. Any context. */
u32 wring_program_count(void);
/* Module exit: drops kept programs; no fd or link exists. What is freed then is freed by wring_wq. */
void wring_program_exit(void);

#endif /* WRING_UNIT_PROGRAM_H */
