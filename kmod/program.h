/* SPDX-License-Identifier: GPL-2.0 */
/*
 * program.h - loaded programs and what the module's parts ask of each other.
 *
 * A program is a compiled module with one instance per possible CPU (hook types) or a single one
 * (WRING_PROG_MODULE). Its file descriptors, its links and the registry's keep flag hold references; the
 * last put frees it after an RCU grace period, so a hook that runs under RCU needs no reference.
 */
#ifndef WRING_PROGRAM_H
#define WRING_PROGRAM_H

#include <linux/atomic.h>
#include <linux/bpf.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/security.h>
#include <linux/seqlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>

#include "core/engine.h"
#include "uapi/wring.h"

struct wring_program;
struct wring_text;

/* ---- errors ---- */

/*
 * What a command reports, see struct wring_error_info. Handlers return a negative errno and, where they can
 * say more, fill this in first.
 */
struct wring_report {
	u32 kind;	/* enum wring_error_kind */
	u32 func;
	u32 offset;
	u32 trap;
	char message[240];
};

/* Fills in a report of kind WRING_ERROR_REQUEST and returns err. */
__printf(3, 4) int wring_report_set(struct wring_report *report, int err, const char *fmt, ...);

/* ---- traps and counters ---- */

/* The last trap on one CPU. Written by that CPU (guarded by vmctx->busy), read by anyone. */
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
 * A program's state on one CPU. vmctx->host of each of its instances points here. The hook's entry code
 * loads `vmctx` from its per-CPU address (struct wring_hook_entry::percpu_vmctx).
 */
struct wring_program_cpu {
	struct wring_vmctx *vmctx;	/* the instance's; or, while that is made anew, aftermath.parked */
	struct wring_program *program;
	/* These of hooks' programs are changed under instances_lock. */
	struct wring_instance *instance;
	void *stack;			/* made when first needed; at hooks: only for private_stack */
	struct wring_usage past;	/* of instances that there were before */
	bool renew;			/* aftermath.c's */
	struct wring_counters counters;	/* this_cpu operations: NMI-safe */
	struct wring_trap_record trap;
};

/* ---- maps ---- */

/* A BPF map a program uses; the map's handle is its index in wring_program::maps. */
struct wring_map {
	char name[WRING_NAME_LEN];
	struct bpf_map *map;		/* referenced */
	struct wring_map_binding binding;	/* how generated code reaches it */
	void *data;			/* map.c's own */
};

/* Imports of this module name with signature () -> i32 are map handles: the import's name is the map's. */
#define WRING_MAP_IMPORT_MODULE "wring_map"

/*
 * map.c. Binds slot->map, ->binding and ->data to the map of fd (of the calling process). Returns 0 or
 * a negative errno with the report filled in; then there is nothing to undo. May sleep.
 */
int wring_map_bind(struct wring_map *slot, int fd, struct wring_report *report);
/* Gives it back. May sleep. */
void wring_map_unbind(struct wring_map *slot);
/* map.c: kernel-wide set-up (registers its host functions with wring_host_register). */
int wring_map_init(void);
void wring_map_exit(void);

/* ---- host functions ---- */

/* Where a host function may be imported: bit per enum wring_prog_type, and plain instances. */
#define WRING_IN(type)		(1u << (type))
#define WRING_IN_INSTANCE	(1u << 31)	/* vmctx->host is NULL there */
#define WRING_IN_HOOKS		(~(WRING_IN_INSTANCE | WRING_IN(WRING_PROG_MODULE)))
#define WRING_IN_PROGRAMS	(~WRING_IN_INSTANCE)

/*
 * A C function guests can import: R address(struct wring_vmctx *, args...), called directly by generated
 * code. Types are letters as in struct wring_extern_desc. An intrinsic (core/link/intrinsics.def) of the same
 * names is expanded by the compiler and `address` is its out-of-line form. Every intrinsic is in a table, which says
 * where it may be imported. In start functions those that read a hook's data find none: no packet, no arguments.
 */
struct wring_host_function {
	const char *module;	/* NULL ends a table */
	const char *name;
	const char *params;	/* without the vmctx */
	const char *results;
	void *address;		/* NULL: an intrinsic that always is expanded */
	u32 where;		/* WRING_IN_* */
	bool needs_hook;	/* no intrinsic; looks at what is there while a hook runs: not for start functions */
	bool may_trap;		/* may set vmctx->trap_reason */
	bool may_sleep;		/* only for WRING_PROG_MODULE and instances */
	/*
	 * What a call costs, in units of fuel: of a simple instruction, about. What depends on the arguments the
	 * function charges itself (wring_guest_pay).
	 */
	u32 cost;
	/*
	 * What it reaches beyond the guest: LOCKDOWN_BPF_READ_KERNEL (kernel memory of the guest's choice),
	 * LOCKDOWN_BPF_WRITE_USER, or LOCKDOWN_NONE. A kernel that is locked down has no such function.
	 */
	enum lockdown_reason reach;
	void (*wanted)(void);	/* called, may sleep, when a module that imports the function is loaded; or NULL */
};

/* Adds a table that stays valid until the module goes. Only while the module initializes. */
int wring_host_register(const struct wring_host_function *table);

/* ---- hook types (hook.c) ---- */

/* What a type of hook asks of its programs. Constant. */
struct wring_hook_type {
	u32 type;			/* enum wring_prog_type */
	const char *name;		/* "xdp" */
	int capability;			/* beyond CAP_BPF: CAP_NET_ADMIN, CAP_PERFMON */
	u32 default_verdict;		/* unless the loader gives one within the range */
	u32 verdict_min, verdict_max;
	int pkt_data_offset;		/* as in struct wring_hook_entry */
	int pkt_end_offset;
	bool args_in_ctx;
	u32 arg_count;
	bool may_nest;			/* what programs call may hit such a hook */
	/*
	 * WRING_IOC_PROG_RUN: run->data_in.. are user pointers, run->error is handled by the caller. Fills in the
	 * out fields. NULL: not offered.
	 */
	int (*run)(struct wring_program *program, struct wring_prog_run *run,
		   struct wring_report *report);
};

/* The type, or NULL if there is no such hook here (WRING_PROG_MODULE has none). */
const struct wring_hook_type *wring_hook_type_find(u32 type);
/* Bits of the types whose programs can be loaded, and attached. */
u32 wring_hook_types_loadable(void);
u32 wring_hook_types_attachable(void);
/* Kernel-wide set-up: registers host functions. wring_hook_exit runs when no link exists. */
int wring_hook_init(void);
void wring_hook_exit(void);

/* The link commands of uapi/wring.h. The struct is in kernel memory and copied back on success. May sleep. */
int wring_link_attach(struct wring_link_attach *attach, struct wring_report *report);
int wring_link_detach(struct wring_link_detach *detach, struct wring_report *report);
/* Detaches all links of a program, NULL: all there are, and returns how many. May sleep. */
u32 wring_links_detach(const struct wring_program *program);
/* Detaches a link that the caller has made, if it is still there. */
void wring_link_undo(u32 id);
int wring_link_info(struct wring_link_info *info, struct wring_report *report);
int wring_link_next_id(struct wring_next_id *next, struct wring_report *report);

/* ---- programs ---- */

/* aftermath.c: what becomes of a hook's program after its traps. */
struct wring_aftermath {
	struct irq_work irq;
	struct work_struct work;	/* holds a reference on the program while it is queued, as irq does */
	atomic_t detach;		/* asked of the work item */
	atomic_t traps, timeouts;	/* counted where there is a limit */
	/* What a CPU without an instance has in its place: always in use. NULL if instances are never made anew. */
	struct wring_vmctx *parked;
	unsigned long retry_at;		/* jiffies; 0: nothing to be tried again */
	struct mem_cgroup *memcg;	/* the loader's, referenced; only with `parked` */
};

/* Fields are constant once the program is loaded unless said otherwise. */
struct wring_program {
	refcount_t refs;
	u32 id;
	u32 type;			/* enum wring_prog_type */
	const struct wring_hook_type *hook;	/* NULL: WRING_PROG_MODULE */
	u32 default_verdict;
	/* The hook's native entry: u32 entry(void *ctx), any context; NULL: WRING_PROG_MODULE. */
	u32 (*entry)(void *ctx);
	u32 entry_func;
	char name[WRING_NAME_LEN];
	char entry_name[WRING_EXPORT_LEN];
	u8 tag[8];

	struct wring_store *store;
	struct wring_module *module;
	struct wring_code *code;
	struct wring_text *text;	/* executable memory */
	struct wring_program_cpu __percpu *cpu;
	struct wring_map *maps;
	u32 map_count;
	u32 instance_count;		/* num_possible_cpus(), or 1: then the lowest possible CPU's */

	u64 fuel;
	u32 time_us;			/* at hooks: of one invocation */
	u32 stack_bytes;
	u32 on_trap;			/* enum wring_on_trap */
	u32 trap_limit, timeout_limit;	/* at hooks: it is detached after so many; 0: never */
	u32 arg_count;			/* at hooks: hook_arg_count of the instances; under instances_lock */
	bool private_stack;		/* a hook's program that was given more than the CPU's stacks have */
	bool clamped;			/* bounds checks hold under speculation */
	u64 load_time_ns;
	u64 compile_ns;
	u64 module_bytes;
	kuid_t uid;

	/* Invocations of a WRING_PROG_MODULE's exports take turns. */
	struct mutex invoke_lock;
	/* Instances of a hook's program may be exchanged. Taken within hook.c's lock, nothing else within it. */
	struct mutex instances_lock;
	struct wring_aftermath aftermath;
	/* Links; changed by wring_program_link and wring_program_unlink. */
	atomic_t links;
	bool keep;			/* the registry's reference; under its lock */
	struct rcu_work free_work;
};

/* Any context that may not race with the last put. */
static inline void wring_program_get(struct wring_program *program)
{
	refcount_inc(&program->refs);
}

/* Any context: the work of freeing is deferred. */
void wring_program_put(struct wring_program *program);

/* The program of a program fd of the calling process, with a reference, or an ERR_PTR: -EBADF, -EINVAL. */
struct wring_program *wring_program_get_fd(int fd);

/*
 * A link takes (and returns) a reference and counts itself: the program cannot be unloaded and the module stays in
 * memory meanwhile. -EBUSY if the module is going. May sleep.
 */
int wring_program_link(struct wring_program *program);
void wring_program_unlink(struct wring_program *program);

/* How many arguments a hook's programs may read from now on: those it has there. May sleep. */
void wring_program_set_args(struct wring_program *program, u32 count);

/* What the program's invocations on a CPU have used so far. Any context, unless it is a hook's: may sleep. */
void wring_program_usage(struct wring_program *program, unsigned int cpu, struct wring_usage *out);

/* The program that runs on a vmctx, from a host function: NULL for plain instances. Any context. */
static inline struct wring_program *wring_vmctx_program(const struct wring_vmctx *vmctx)
{
	const struct wring_program_cpu *cpu = vmctx->host;

	return cpu ? cpu->program : NULL;
}

/*
 * struct wring_hook_entry::slow_path: counts a miss, a trap or a bad verdict of a hook's invocation,
 * records the trap, and returns the default verdict. Any context, NMI included.
 */
u32 wring_hook_slow_path(struct wring_vmctx *vmctx, u32 event, u32 value);
/* struct wring_hook_entry::time_begin, time_end. Any context. */
void wring_hook_time_begin(struct wring_vmctx *vmctx, struct wring_hook_timing *timing);
u32 wring_hook_time_end(struct wring_vmctx *vmctx, struct wring_hook_timing *timing, u32 verdict);

#endif /* WRING_PROGRAM_H */
