/* SPDX-License-Identifier: GPL-2.0 */
/*
 * engine.h - the engine's C interface, all that the kernel glue and the hosted tools see of it.
 *
 * A store groups modules and instances that may link to each other. A module is decoded and validated
 * (wring_module), bound and compiled (wring_code), placed in executable memory by the host, and instantiated
 * (wring_instance) any number of times. Each object holds a reference on what it was made from.
 *
 * Functions return 0 or a negative enum wring_err, and fill in *err (never NULL) when they fail. They may
 * sleep unless marked otherwise. Objects of one store are not safe for concurrent changes: the host
 * serializes calls per store, except where "any context" is said. Invocations on different instances
 * may run concurrently.
 *
 * Whatever a function fails with, -WRING_ERR_INTERNAL included, it has given back what it took and left what was there
 * before as usable as it was.
 */
#ifndef WRING_CORE_ENGINE_H
#define WRING_CORE_ENGINE_H

#include "core/abi/cpu.h"
#include "core/abi/hook.h"
#include "core/abi/vmctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wring_err {	/* as negative return values; same order as wring::Err */
	WRING_ERR_OK,
	WRING_ERR_NOMEM,
	WRING_ERR_MALFORMED,
	WRING_ERR_INVALID,
	WRING_ERR_UNSUPPORTED,
	WRING_ERR_LIMIT,
	WRING_ERR_LINK,
	WRING_ERR_TRAP,
	WRING_ERR_INTERRUPTED,
	WRING_ERR_INTERNAL,	/* an invariant of the engine is broken: which, is the message */
};

#define WRING_NO_INDEX 0xffffffffu

struct wring_error {
	unsigned int kind;	/* enum wring_err */
	unsigned int func;	/* function index, or WRING_NO_INDEX */
	unsigned int offset;	/* byte offset in the module, or WRING_NO_INDEX */
	char message[160];
	char function[64];	/* the function's name if it has one, printable */
};

struct wring_store;
struct wring_module;
struct wring_code;
struct wring_instance;

/* Limits a host sets per store; zero fields mean the engine's own (base/limits.h). */
struct wring_limits {
	/* Memory for each of a decoded module, its code, its call graph and one function's compilation. */
	unsigned long long compile_bytes;
	unsigned int memory_pages;		/* per linear memory; declared maxima are clamped to it */
	unsigned int table_entries;		/* per table */
	unsigned int code_bytes;
	unsigned int features;			/* WRING_FEATURE_*: what modules may contain; 0: all of it */
};
#define WRING_FEATURE_WASM2 1u		/* implied */
#define WRING_FEATURE_WASM3 2u
#define WRING_FEATURE_THREADS 4u

int wring_store_new(const struct wring_limits *limits, struct wring_store **out);
void wring_store_put(struct wring_store *store);

/* ---- modules ---- */

int wring_module_new(struct wring_store *store, const void *bytes, unsigned long long len,
		     struct wring_module **out, struct wring_error *err);
void wring_module_put(struct wring_module *module);

/* Strings are not NUL-terminated and live as long as the module; guest-controlled bytes. */
struct wring_str {
	const char *data;
	unsigned int len;
};

/* kinds as in the binary format: 0 function, 1 table, 2 memory, 3 global, 4 tag */
struct wring_extern_desc {
	struct wring_str module;	/* imports only */
	struct wring_str name;
	unsigned int kind;
	unsigned int index;		/* in the index space of the kind */
	unsigned int offset;		/* imports: where in the module */
	/*
	 * Functions: types as letters, i l f d v F X E (i32 i64 f32 f64 v128 and references to functions, of the host,
	 * to exceptions, whatever their exact type); "?" after 30. Tags: params. Globals: results holds the type's
	 * letter, params "m" if it is mutable. Tables: results holds the elements' letter.
	 */
	char params[32];
	char results[32];
};
unsigned int wring_module_import_count(const struct wring_module *module);
/* Both: 0; -WRING_ERR_LIMIT if there is no such; -WRING_ERR_INTERNAL, then `name` says what has gone wrong. */
int wring_module_import(const struct wring_module *module, unsigned int i,
			struct wring_extern_desc *out);
unsigned int wring_module_export_count(const struct wring_module *module);
int wring_module_export(const struct wring_module *module, unsigned int i,
			struct wring_extern_desc *out);
/* The binary, as it was given. */
struct wring_str wring_module_bytes(const struct wring_module *module);
/* Custom section by NUL-terminated name; the n-th of that name. */
int wring_module_custom(const struct wring_module *module, const char *name, unsigned int n,
			struct wring_str *out);
struct wring_str wring_module_function_name(const struct wring_module *module, unsigned int func);

/* ---- code ---- */

/* Mirrors wring::FunctionBinding (core/link/binding.h), one per imported function, in order. */
enum wring_binding_kind {
	WRING_BIND_WASM,	/* another instance's function, given at instantiation */
	WRING_BIND_HOST,	/* C function `address`: R fn(struct wring_vmctx *, args...) */
	WRING_BIND_INTRINSIC,	/* found by (module, name) in host/host.def; `address` is the out-of-line form */
	WRING_BIND_CONSTANT,	/* () -> i32 returning `value` */
	WRING_BIND_HOOK_HOST,	/* WRING_BIND_HOST, not for start functions: compiling one that leads there fails */
};
struct wring_binding {
	unsigned int kind;
	unsigned int value;
	unsigned long long address;
	unsigned int may_trap;
	unsigned int may_sleep;
	unsigned int cost;	/* of a call, in units of fuel, besides what it charges itself */
};
/* Whether (module, name, signature) of import i is an intrinsic the compiler expands: 1, 0, or -WRING_ERR_INTERNAL. */
int wring_import_is_intrinsic(const struct wring_module *module, unsigned int i);

enum wring_map_kind { WRING_MAP_OPAQUE, WRING_MAP_ARRAY, WRING_MAP_PERCPU_ARRAY };
struct wring_map_binding {	/* mirrors wring::MapBinding; index = the handle */
	unsigned int kind;
	unsigned int max_entries;
	unsigned int elem_bytes;
	unsigned int value_bytes;
	unsigned long long address;
};

/* Mirrors wring::Target (core/link/code.h): what the CPU has and the kernel's mitigations ask for. */
struct wring_target {
	unsigned int cpu;		/* enum wring_target_feature */
	unsigned char ibt, sls, retpoline, far_calls;
	unsigned char clamp_speculation;	/* bounds checks hold under speculation */
	unsigned long long return_thunk;
	unsigned long long indirect_thunks[16];
	unsigned long long random;	/* constant blinding seed, 0 = off */
	unsigned long long gs_this_cpu_off;	/* gs displacement of this_cpu_off, 0 if unavailable */
	unsigned long long gs_cpu_number;	/* gs displacement of cpu_number (int), 0 if unavailable */
};
/*
 * Behind each packet's end this many bytes and 8 more are no secret: code that is clamped may read them speculatively.
 */
#define WRING_PACKET_TAIL_BYTES 256u
/* enum wring_target_feature of the CPU this runs on (cpuid). */
unsigned int wring_cpu_features(void);

enum wring_check {
	WRING_CHECK_NONE,
	WRING_CHECK_STAGES,	/* verify what stages hand on: IR, LIR, register allocation */
	WRING_CHECK_PASSES,	/* and the IR after every pass of the optimizer, to know which one broke it */
};

struct wring_compile_options {
	const struct wring_binding *functions;	/* one per imported function */
	unsigned int function_count;
	const struct wring_map_binding *maps;
	unsigned int map_count;
	const struct wring_target *target;
	const struct wring_hook_entry *hook;	/* or NULL */
	unsigned int check;			/* enum wring_check */
	unsigned int metered;			/* emit fuel checks (always on in the kernel) */
	unsigned int unoptimized;		/* leave the optimizer out: what tests compare its work with */
};
int wring_compile(struct wring_module *module, const struct wring_compile_options *options,
		  struct wring_code **out, struct wring_error *err);
void wring_code_put(struct wring_code *code);
/*
 * Called once, with `arg`, when nothing can run the code any more (the code's, its instances' and, where instances
 * were linked to each other, the store's last reference is gone): the host frees the image's memory there. Called
 * from within a put: may sleep.
 */
void wring_code_on_release(struct wring_code *code, void (*release)(void *arg), void *arg);

/* Size of the image (text, then read-only data), a multiple of 16. */
unsigned long long wring_code_size(const struct wring_code *code);
/*
 * Writes the image, relocated for `address`, to dst (the host makes dst visible at address, executable and
 * read-only). Remembers the address. Once per code. -WRING_ERR_LIMIT when something is out of rel32 reach.
 */
int wring_code_place(struct wring_code *code, void *dst, unsigned long long address,
		     struct wring_error *err);
/* Exception table: offsets of faulting instructions and their trap stubs, ascending. 0 or, beyond, -WRING_ERR_LIMIT. */
unsigned int wring_code_fault_count(const struct wring_code *code);
int wring_code_fault(const struct wring_code *code, unsigned int i, unsigned int *pc,
		      unsigned int *fixup);
/* Offset of the hook's entry, or of a function's code; WRING_NO_INDEX if there is none. */
unsigned int wring_code_hook_offset(const struct wring_code *code);
/* An invocation of the hook's entry uses this much fuel and what wring_vmctx::fuel_used grows by (modulo 2^64). */
unsigned long long wring_code_hook_first_slice(const struct wring_code *code);
int wring_code_function(const struct wring_code *code, unsigned int func, unsigned int *begin,
			unsigned int *end);
/* Whether a hook's program runs on a stack that its entry takes, rather than on the one the hook is called on. */
int wring_code_needs_stack(const struct wring_code *code);
/* Whether invocations may use the FPU: wring_invoke and hook entries bracket them then. */
int wring_code_uses_fpu(const struct wring_code *code);
/* The most stack an acyclic program uses, in bytes; meaningless if the call graph has cycles. */
unsigned int wring_code_stack_bytes(const struct wring_code *code);
/* pc (absolute) to function index and Wasm offset: trap sites and return addresses. 0 or -1. Any context. */
int wring_code_lookup(const struct wring_code *code, unsigned long long pc, unsigned int *func,
		      unsigned int *offset);

/*
 * For host functions, before they work on `bytes` bytes that the guest has asked for: 0, or -1 with a trap set, then
 * they return at once. Any context.
 */
int wring_guest_pay(struct wring_vmctx *vmctx, unsigned long long bytes);
/* The same for other work, in units of fuel (at most 2^32). */
int wring_guest_charge(struct wring_vmctx *vmctx, unsigned long long fuel);

/* ---- instances ---- */

/*
 * Instances that import from each other (WRING_BIND_WASM, memories, tables, globals) stay alive until their store
 * goes, whatever is put before, and must not be invoked concurrently. Instances linked only to the host are
 * independent and go with their last reference.
 */

/* What another instance exports, to satisfy an import: the instance and the export's index in its module. */
struct wring_import_value {
	struct wring_instance *instance;	/* NULL: the import is bound to the host (functions only) */
	unsigned int export_index;
};

/*
 * Allocates memories, tables, globals and the vmctx, checks imports (one value per import of any kind),
 * runs element and data initialization. A failing active segment is -WRING_ERR_TRAP. The start function is
 * not run: see wring_module_start.
 */
int wring_instance_new(struct wring_code *code, const struct wring_import_value *imports,
		       unsigned int import_count, struct wring_instance **out,
		       struct wring_error *err);
void wring_instance_put(struct wring_instance *instance);
struct wring_vmctx *wring_instance_vmctx(struct wring_instance *instance);
#define WRING_MIN_STACK_BYTES 49152u
/*
 * The stack that hook invocations of this instance use if wring_hook_entry::private_stack says so: [stack, stack +
 * bytes), at least WRING_MIN_STACK_BYTES; the top is rounded down to 16. 0 or -WRING_ERR_LIMIT.
 */
int wring_instance_set_stack(struct wring_instance *instance, void *stack,
			     unsigned long long bytes);
/*
 * Makes [stack, stack + bytes) one of the stacks that invocations on one CPU take, used while all before it are: what
 * is returned is the `next` of the one before, or what the CPU's pointer begins with. The last one is made first, its
 * `next` being NULL. NULL if it is too small.
 */
struct wring_hook_stack *wring_hook_stack_init(void *stack, unsigned long long bytes,
					       struct wring_hook_stack *next);
/*
 * What the invocations of an instance that have ended have used, traps and failures included; of one that runs
 * meanwhile part of its fuel may be counted. wring_instance_usage_reset begins anew: nothing may run. Any context.
 */
struct wring_usage {
	unsigned long long runs;
	unsigned long long fuel;
};
void wring_instance_usage(const struct wring_instance *instance, struct wring_usage *out);
void wring_instance_usage_reset(struct wring_instance *instance);
/* The start function's index or WRING_NO_INDEX. */
unsigned int wring_module_start(const struct wring_module *module);

/*
 * Calls function `func` (its signature is the caller's to respect: argv holds max(params, results) u64s, v128 taking
 * two, the low one first; floats are their bits, references words, null 0; references of the host any word, others only
 * such as the engine gave out for the instance or one linked to it and never ones to exceptions) on
 * the stack [stack, stack + stack_bytes); unless the code was compiled for a hook, C functions it calls run on the
 * current one. func must be exported, the start function or the hook's.
 * Returns 0 or the trap reason. *fuel is the budget and, on return, what is left; it is handed to the program in
 * slices, with a call of wring_os_yield between them. May sleep (memory.grow, host calls with may_sleep).
 * Fails with WRING_TRAP_HostError when the vmctx is busy, func cannot be called, a reference is not valid or the stack
 * is missing or smaller than WRING_MIN_STACK_BYTES. An exception that nobody catches is the trap
 * WRING_TRAP_UncaughtException; one that the function returns a reference to is the host's to look at until the next
 * invocation. The caller keeps the task on its CPU only if it must.
 * A trap leaves memories, tables and globals as they are, but for shadow stack pointers (link/stack_pointers.h): those
 * of the instance and of all that are linked to it are again what they were before.
 */
unsigned int wring_invoke(struct wring_instance *instance, unsigned int func,
			  unsigned long long *argv, void *stack, unsigned long long stack_bytes,
			  unsigned long long *fuel);

/* For hosts that look into instances; 0 or -WRING_ERR_LIMIT if there is no such index. Not during an invocation. */

/* A global's value (8 bytes; v128 16) into out. */
int wring_instance_global(struct wring_instance *instance, unsigned int global_index,
			  unsigned long long out[2]);
/* A table's size, and the reference at `entry` (0: null, or there is none). */
int wring_instance_table(struct wring_instance *instance, unsigned int table_index,
			 unsigned long long entry, unsigned long long *ref, unsigned int *size);
/* What all the memories the instance defines itself take at present. Any context. */
unsigned long long wring_instance_memory_bytes(const struct wring_instance *instance);
/* Where a linear memory is at present and how large. */
int wring_instance_memory(struct wring_instance *instance, unsigned int memory_index,
			  struct wring_memory_view *out);

#ifdef __cplusplus
}
#endif

#endif /* WRING_CORE_ENGINE_H */
