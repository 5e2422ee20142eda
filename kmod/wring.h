/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wring.h - what the kernel runtime's files share: memory, code, targets, reports and file operations.
 */
#ifndef WRING_WRING_H
#define WRING_WRING_H

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "program.h"

/*
 * For everything whose size the user chooses: charged to the caller's memory cgroup, and a failure rather than the
 * OOM killer when that is full.
 */
#define WRING_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* Limits. */
#define WRING_MAX_MODULE_BYTES		(64ul << 20)
#define WRING_MAX_MAPS			64u
#define WRING_MAX_IMPORTS		10000u
#define WRING_MAX_ARGS			1000u
#define WRING_MAX_CODE_BYTES		(64u << 20)
#define WRING_MAX_COMPILE_BYTES		(512ul << 20)
#define WRING_MAX_STACK_BYTES		(8u << 20)
#define WRING_MAX_HOOK_FUEL		(1ull << 32)
#define WRING_MAX_HOOK_TIME_US		10000u
#define WRING_MAX_TABLE_ENTRIES		1000000u
#define WRING_MAX_MEMORY_PAGES		65536u
#define WRING_WASM_PAGE_BYTES		65536u
#define WRING_MEMORY_RESERVED_BYTES	(8ull << 30)
/* Defaults. */
#define WRING_HOOK_MEMORY_PAGES		256u
#define WRING_HOOK_STACK_BYTES		(64u << 10)
#define WRING_RUN_STACK_BYTES		(256u << 10)
#define WRING_HOOK_FUEL			(1ull << 22)
#define WRING_HOOK_TIME_US		2000u
#define WRING_RUN_FUEL			(1ull << 40)

/* main.c: for what is freed after an RCU grace period, and must be before the module goes. */
extern struct workqueue_struct *wring_wq;

/* ---- recovery.c: wring_os_recovery_*, wring_os_panic ---- */

void wring_recovery_init(void);
/* How many invariants of the engine were found broken. */
u64 wring_recovery_count(void);

/* ---- authority.c: who may do what. Process context, but for wring_audit ---- */

/* Whether the caller may open and use /dev/wring. */
bool wring_may_use(void);
/*
 * Whether it may load programs for a hook (NULL: for none), run them by hand or unload them, attach them. 0 or -EPERM
 * with the report filled in.
 */
int wring_may_load(const struct wring_hook_type *hook, struct wring_report *report);
int wring_may_run(const struct wring_hook_type *hook, struct wring_report *report);
int wring_may_attach(const struct wring_hook_type *hook, struct wring_report *report);
/* Likewise detach a link of a program of which it holds an fd; NULL: a link given by id. */
int wring_may_detach(const struct wring_program *held, struct wring_report *report);
/* Whether it may find and open by id what others made: 0 or -EPERM with the report filled in. */
int wring_may_look_up(struct wring_report *report);
/* Whether it may know addresses of code, and (0 or -EPERM) read the code. */
bool wring_may_see_addresses(void);
bool wring_may_speculate(void);
int wring_may_read_code(void);
/* Whether lockdown leaves guests a host function: 0 or -EPERM. Asked when a module that imports it is loaded. */
int wring_may_import(const struct wring_host_function *function);
/* Asks security modules: 0 or a negative errno with the report filled in. `user` is where the module came from. */
int wring_lsm_load(u32 type, const char *name, const struct wring_module *module, u64 user,
		   struct wring_report *report);
/* An audit record of a program (id 0: an instance) that came or went. Any context but NMI. */
void wring_audit(u32 id, const u8 tag[8], const char *op);

/* ---- loads.c: the administrator's switch ---- */

int wring_loads_init(void);
void wring_loads_exit(void);
/* enum wring_loads. Any context. */
u32 wring_loads_state(void);
/* 0, or -EPERM with the report filled in while loads are refused. Any context. */
int wring_loads_check(struct wring_report *report);

/* ---- linear_mem.c: wring_os_memory_* ---- */

void wring_memory_init(void);
/* Gives pooled reservations back; none may be in use. May sleep. */
void wring_memory_exit(void);
/* Reservations in use, and kept for reuse. */
void wring_memory_count(u32 *used, u32 *pooled);

/* ---- charge.c: memory cgroups ---- */

struct obj_cgroup;
/* The caller's account, or NULL if nobody counts; to be put. */
struct obj_cgroup *wring_charge_owner(void);
void wring_charge_put(struct obj_cgroup *owner);
/* Whole pages, any number. 0 or -ENOMEM. May sleep. */
int wring_charge(struct obj_cgroup *owner, size_t bytes);
void wring_uncharge(struct obj_cgroup *owner, size_t bytes);

/* ---- wait.c: wring_os_wait, wring_os_notify ---- */

void wring_wait_init(void);

/* ---- fpu.c: wring_os_fpu_* ---- */

/* struct wring_hook_entry::fpu_begin, ::fpu_end. Any context, NMI included. */
u32 wring_hook_fpu_begin(void);
void wring_hook_fpu_end(void);

/* ---- hook_stack.c: stacks that hook invocations take ---- */

/* Before the first program of a hook is compiled. 0 or -ENOMEM. May sleep. */
int wring_hook_stacks_ensure(void);
void wring_hook_stacks_exit(void);
void wring_hook_stacks_describe(struct wring_hook_entry *entry);

/* ---- code_mem.c: executable memory ---- */

/*
 * Places the code of a module: allocates executable memory, has the image written and relocated there, adds its
 * exception table and its symbol bpf_prog_<tag>_<name>, and leaves it read-only and executable. The text is freed
 * when the engine releases the code (wring_code_on_release), after an RCU grace period. Returns 0 or a negative
 * errno with the report filled in; either way the code stays the caller's. May sleep; needs CAP_BPF.
 */
int wring_text_place(struct wring_code *code, const char *name, const u8 tag[8],
		     struct wring_text **out, struct wring_report *report);
/* Address and size of the image. */
void *wring_text_address(const struct wring_text *text);
size_t wring_text_bytes(const struct wring_text *text);
/* Executable bytes in use by the module. */
u64 wring_text_total(void);

/* ---- target.c ---- */

/* 0, or -ENODEV on a CPU that is too old. */
int wring_target_check(void);
/* Fills in what this CPU has and the kernel's mitigations ask for now. Any context. */
void wring_target_get(struct wring_target *target);
/* The same as WRING_MITIGATION_* bits. */
u32 wring_target_mitigations(const struct wring_target *target);

/* ---- report.c ---- */

/* Turns the engine's error (a negative enum wring_err and its description) into an errno and a report. */
int wring_report_engine(struct wring_report *report, int err, const struct wring_error *error,
			const struct wring_module *module);
/* The same for -WRING_ERR_INTERNAL of a function that describes imports or exports. */
int wring_report_internal(struct wring_report *report, const struct wring_extern_desc *desc);
/* Reports a trap: its reason, and where, from the vmctx of the invocation. */
void wring_report_trap(struct wring_report *report, const struct wring_vmctx *vmctx, u32 reason,
		       const struct wring_module *module);
/* Copies guest-controlled text to dst as printable ASCII, NUL-terminated, shortened with "..." if need be. */
void wring_text_printable(char *dst, size_t size, const char *src, size_t len);

/* ---- bind.c: imports ---- */

/* struct wring_extern_desc::kind, as in the binary format. */
enum {
	WRING_EXTERN_FUNC,
	WRING_EXTERN_TABLE,
	WRING_EXTERN_MEMORY,
	WRING_EXTERN_GLOBAL,
	WRING_EXTERN_TAG,
};

/* What imports are satisfied with. */
struct wring_bind_source {
	u32 where;			/* WRING_IN_* bit of the module to bind */
	const struct wring_map *maps;
	u32 map_count;
	/* Plain instances: one per import, or NULL. A NULL instance is the host. */
	const struct wring_import_value *values;
	u32 value_count;
};

/*
 * Makes the bindings of a module's imported functions: a kvmalloc'ed array for struct wring_compile_options
 * (NULL if there are none) and its length. 0 or a negative errno with the report filled in.
 */
int wring_bind_imports(const struct wring_module *module, const struct wring_bind_source *source,
		       struct wring_binding **out, u32 *count, struct wring_report *report);

/* ---- trap.c ---- */

/* Records the trap of an invocation that the CPU's owner ran outside a hook. */
void wring_trap_record(struct wring_program_cpu *cpu, const struct wring_vmctx *vmctx, u32 reason);
/* The last trap of a program; time_ns is 0 if there was none. May sleep. */
void wring_trap_last(struct wring_program *program, struct wring_trap_info *info);

/* ---- load.c ---- */

/* A module's binary, copied from the user. */
struct wring_bytes {
	void *data;
	u32 len;
	u8 tag[8];			/* first bytes of its SHA-256 */
};
/* 0 or a negative errno with the report filled in. May sleep. */
int wring_bytes_get(struct wring_bytes *bytes, u64 user, u64 len, struct wring_report *report);
void wring_bytes_put(struct wring_bytes *bytes);

/*
 * Decodes, compiles, places and instantiates: fills in a fresh program from the command, which has been checked. On
 * failure (negative errno, report filled in) what was made so far is left to wring_program_destroy.
 */
int wring_program_build(struct wring_program *program, const struct wring_prog_load *load,
			struct wring_report *report);
/* Frees all that wring_program_build made, complete or not. Nothing may run the program any more. May sleep. */
void wring_program_destroy(struct wring_program *program);

/*
 * Exchanges a CPU's instance, which nothing runs on any more, for a fresh one, and makes hooks find that. On failure (a
 * negative errno) the old one stays, out of reach. May sleep.
 */
int wring_program_renew(struct wring_program *program, unsigned int cpu);

/* ---- aftermath.c ---- */

int wring_aftermath_init(struct wring_program *program, u32 on_trap);
void wring_aftermath_exit(struct wring_program *program);
/* In hooks, any context. */
void wring_aftermath_of_trap(struct wring_program_cpu *cpu, u32 reason);
bool wring_aftermath_of_miss(struct wring_program *program, const struct wring_vmctx *vmctx);

/* ---- program.c ---- */

/* Drops kept programs; no fd or link may exist. What is freed then is freed by wring_wq. */
void wring_program_exit(void);
u32 wring_program_count(void);
extern const struct file_operations wring_program_fops;

/* ---- instance.c: stores of linked instances ---- */

struct wring_session;
/* An open /dev/wring: a store of instances, made when first needed. */
struct wring_session *wring_session_new(void);
void wring_session_put(struct wring_session *session);

/* ---- invoke.c ---- */

/* What can be invoked: an instance of a WRING_PROG_MODULE program or of a session. */
struct wring_invokee {
	const struct wring_module *module;
	struct wring_instance *instance;
	struct mutex *lock;		/* invocations and store changes take turns */
	void **stack;			/* made when first needed; under the lock */
	u32 stack_bytes;
	u64 fuel;			/* default budget */
	struct wring_program_cpu *cpu;	/* to count and record at, or NULL */
};
int wring_invokee_invoke(const struct wring_invokee *target, struct wring_invoke *invoke,
			 struct wring_report *report);
int wring_invokee_export(const struct wring_invokee *target, struct wring_export_get *get,
			 struct wring_report *report);
/*
 * Stacks for programs to run on, zeroed: NULL without memory. With WRING_GFP the caller is charged. wring_stack_free
 * takes NULL. Process context, may sleep.
 */
void *wring_stack_alloc(u32 bytes, gfp_t gfp);
void wring_stack_free(void *stack);
/*
 * Runs the start function of a new instance, if it has one, on the stack given, with this much fuel.
 * 0 or a negative errno with the report filled in.
 */
int wring_start_run(const struct wring_module *module, struct wring_instance *instance, void *stack,
		    u32 stack_bytes, u64 fuel, struct wring_report *report);

/* ---- dev.c ---- */

/* A command being handled. */
struct wring_call {
	struct file *file;
	struct wring_report report;
	/* A file to give the caller an fd of, when the command has otherwise succeeded; dropped if it fails. */
	struct file *new_file;
};

/*
 * One command: `size` is that of the struct as this module knows it, `min_size` that of its first version;
 * error_at is the offset of its `error` pointer (error_bytes_at: of the room there), 0 if it has none.
 * handle gets a kernel copy, which is copied back when it returns 0; undo (may be NULL) takes its effect
 * back when that fails.
 */
struct wring_command {
	u32 number;
	u32 size, min_size;
	u32 error_at, error_bytes_at;
	int (*handle)(struct wring_call *call, void *arg);
	void (*undo)(struct wring_call *call, void *arg);
};
#define WRING_COMMAND(ioc, type, last_field_of_v1, ...)	\
	{						\
		.number = ioc,				\
		.size = sizeof(type),			\
		.min_size = offsetofend(type, last_field_of_v1), \
		__VA_ARGS__				\
	}
#define WRING_ERROR_FIELDS(type) \
	.error_at = offsetof(type, error), .error_bytes_at = offsetof(type, error_bytes)

/* Finds and runs a command of a table. For .unlocked_ioctl: process context. */
long wring_command_run(struct file *file, const struct wring_command *commands, u32 count,
		       unsigned int cmd, unsigned long arg);

int wring_device_init(void);
void wring_device_exit(void);

/* program.c and instance.c: commands of /dev/wring, whose caller has CAP_BPF. */
int wring_program_load(struct wring_call *call, void *arg);
void wring_program_load_undo(struct wring_call *call, void *arg);
int wring_program_next_id(struct wring_call *call, void *arg);
int wring_program_open(struct wring_call *call, void *arg);
int wring_instance_create(struct wring_call *call, void *arg);

#endif /* WRING_WRING_H */
