/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmctx.h - the memory that generated code sees of an instance, pointed to by a pinned register.
 *
 * C and C++ both include this file: the kernel's hooks fill in the per-invocation part. One vmctx is used by
 * one invocation at a time (`turns`). Generated code addresses fields by the offsets below, so the layout is
 * part of the interface between link/, x64/ and the hosts; it holds no guest-writable pointers.
 */
#ifndef WRING_CORE_ABI_VMCTX_H
#define WRING_CORE_ABI_VMCTX_H

#ifdef __cplusplus
extern "C" {
#endif

#define WRING_MAX_HOOK_ARGS 12
#define WRING_MAX_TRAP_FRAMES 16
#define WRING_MAX_STACK_POINTERS 8

enum wring_trap_reason {
#define TRAP(name, text) WRING_TRAP_##name,
#include "core/abi/traps.def"
#undef TRAP
	WRING_TRAP_COUNT
};

/*
 * A function reference points to one of these: one per function of an instance, alive as long as the instance. Who
 * may call through it needs the code's signature only, the code switches vmctx itself where needed.
 */
struct wring_func_ref {
	void *code;			/* entry for indirect calls */
	unsigned long long type_id;	/* Store-wide signature id, from 1 */
};

/* An entry of a table of function references: *ref copied, so that call_indirect loads once; null is all zero. */
struct wring_table_entry {
	void *code;
	unsigned long long type_id;
	const struct wring_func_ref *ref;
};

/* A table as generated code sees it; shared by all instances that import it. */
struct wring_table_view {
	union {
		struct wring_table_entry *entries;
		unsigned long long *words;	/* tables of externref and exnref: the references themselves */
	};
	unsigned int size;
	unsigned int max;		/* the array never moves while the table lives: capacity is max */
};

/* An exception tag's identity is its address; shared by all instances that import it. */
struct wring_tag {
	unsigned long long type_id;
};

/*
 * A thrown exception; exnref points to it. It stays as long as it can be reached: by a word that points into it, in the
 * guest's frames, globals, tables or other exceptions (runtime/exceptions.h).
 */
struct wring_exception {
	const struct wring_tag *tag;	/* NULL: not in use */
	struct wring_exception *next;	/* runtime's */
	unsigned int throw_func;	/* where it was thrown, for "uncaught exception" */
	unsigned int throw_offset;
	unsigned int is_escaped;	/* an exnref to it may exist: not to be freed when it is caught */
	unsigned int value_words;
	unsigned long long values[];	/* of the tag's parameters in order, 8 bytes each, v128 16 */
};

/* Size of a linear memory, shared by all instances that import it; the base never moves. */
struct wring_memory_view {
	unsigned char *base;
	unsigned long long bytes;
	unsigned long long max_bytes;
};

struct wring_trap_frame {
	unsigned int func;		/* function index; WRING_NO_INDEX: a function of another instance */
	unsigned int offset;		/* Wasm byte offset in the module */
};

/*
 * A stack for hook invocations, one of several that a CPU has; this lies at its top, and what runs on it begins right
 * below. Invocations nest as interrupts do: each takes what the CPU's pointer to the next one says, sets that to
 * `next`, and sets it back in the end. The last one's `next` is no stack: it has none itself.
 */
struct wring_hook_stack {
	struct wring_hook_stack *next;
	/* The stack that is taken before this one; NULL: this is the CPU's first. Whoever takes another asks before. */
	struct wring_hook_stack *outer;
	unsigned char *limit;			/* see wring_vmctx::stack_limit */
	struct wring_vmctx *vmctx;		/* of the invocation that has taken the stack, or NULL */
} __attribute__((aligned(16)));

/* Of an invocation that is timed, on its hook's stack. The host's own. */
struct wring_hook_timing {
	unsigned long long begin;
	unsigned long long turns;
};

struct wring_vmctx {
	/* Fixed for the instance's life. */
	unsigned char *memory_base;		/* heap base, also in its pinned register */
	struct wring_memory_view *memory;	/* memory 0, or NULL */
	struct wring_table_view **tables;	/* one per table index */
	struct wring_func_ref *functions;	/* one per function index; zero if nothing refers to the function */
	struct wring_memory_view **memories;	/* one per memory index, memory 0 included */
	const struct wring_tag **tags;		/* one per tag index */
	void **globals;				/* one pointer per global index, to its 16-byte cell */
	void *instance;				/* the runtime::Instance, for library calls */
	void *host;				/* the host's own data (kernel: struct wring_program_cpu *) */

	/* Per invocation. */
	long long fuel;				/* at entry and around host calls; else in the pinned register */
	void *guest_sp;				/* during a call of a C function: the program's stack pointer */
	/*
	 * Odd while an invocation runs on this vmctx. Invocations set the lowest bit when they begin and add 1 when
	 * they end: half of it is how many have ended. Only whoever has found it even, and set the bit, uses what
	 * follows.
	 */
	unsigned long long turns;

	/*
	 * Per invocation, and copied by bridges into the vmctx of the instance they call, which thus unwinds to the
	 * same entry stub: [entry_sp, exception), see WRING_VMCTX_BRIDGED_BEGIN below.
	 */
	void *entry_sp;				/* stack pointer to unwind to on a trap: the entry stub's */
	struct wring_vmctx *root;		/* the vmctx the host entered; it gets the trap record */
	unsigned char *stack_limit;		/* lowest stack address a checked prologue may reach */
	void *host_sp;				/* where C functions are called that may use the host's stack */
	void *stack_top;			/* the invocation's stack begins here (16-byte aligned) */
	unsigned char *pkt;			/* packet bytes, and how many */
	unsigned long long pkt_len;
	void *hook_ctx;				/* the hook's native context (struct xdp_buff *, ...) */
	const unsigned long long *hook_args;	/* `hook_arg_count` arguments */
	unsigned int hook_arg_count;		/* set by the host (it depends on the tracepoint), not per invocation */
	unsigned int may_sleep;			/* library and host calls may sleep; 0 in hooks */

	/*
	 * The exception on its way up, or NULL: whoever throws sets it and returns, and whoever calls code that may
	 * throw looks at it when the call returns. A bridge hands it on to its caller's vmctx.
	 */
	struct wring_exception *exception;

	/* Fuel and time; used of the vmctx that was entered (root). */
	unsigned long long fuel_reserve;	/* what may be handed out when `fuel` is used up */
	/* From that time stamp on wring_lib_fuel_refill hands out; 0: set by whoever looks at the time first. */
	unsigned long long check_at;
	unsigned long long time_slice;		/* cycles: until others get a turn or, at hooks, the end; fixed */
	unsigned long long fuel_slice;		/* what is handed out at a time */
	/*
	 * Of all invocations that have ended: what the reserve handed out, less what was left of `fuel`, modulo 2^64.
	 * With what they had of it to begin with, that is what they used.
	 */
	unsigned long long fuel_used;

	void *private_stack_top;		/* fixed; where hook entries of programs with an own stack begin */

	/* The last trap; trap_reason is 0 while none happened in this invocation. */
	unsigned int trap_reason;
	unsigned int trap_frame_count;
	void *trap_pc;				/* return address of the trap stub's call: names the site */
	void *trap_sp;				/* the trapping function's stack pointer, before that call */
	struct wring_trap_frame trap_frames[WRING_MAX_TRAP_FRAMES];

	/* What the module's shadow stack pointers were before the invocation: a trap puts them back to that. */
	unsigned long long stack_pointers[WRING_MAX_STACK_POINTERS];
};

/* What bridges copy, in 8-byte words. */
#define WRING_VMCTX_BRIDGED_BEGIN __builtin_offsetof(struct wring_vmctx, entry_sp)
#define WRING_VMCTX_BRIDGED_END __builtin_offsetof(struct wring_vmctx, exception)

/* A global's cell; an imported mutable global shares its exporter's. */
#define WRING_GLOBAL_CELL_BYTES 16

const char *wring_trap_text(unsigned int reason);

#ifdef __cplusplus
}
#endif

#endif /* WRING_CORE_ABI_VMCTX_H */
