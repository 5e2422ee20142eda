/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hook.h - a hook's native entry, as the host describes it and the back end emits it: u32 entry(void *ctx, ...) in the
 * C ABI, called with preemption or migration disabled, emitted with the module's code. See x64/x64.h for what it does
 * step by step. C and C++ both include this file.
 */
#ifndef WRING_CORE_ABI_HOOK_H
#define WRING_CORE_ABI_HOOK_H

/* What a kind of hook calls its programs with. */
struct wring_hook_layout {
	int pkt_data_offset;		/* in *ctx: u8 *data; -1: the hook has no packet in *ctx */
	int pkt_end_offset;		/* in *ctx: u8 *data_end */
	/* ctx points to u64 arguments; the host keeps their number in vmctx->hook_arg_count, at most arg_count */
	unsigned int args_in_ctx;
	unsigned int arg_count;
};

struct wring_hook_entry {
	struct wring_hook_layout layout;
	unsigned int func;		/* () -> i32 or (i32) -> i32, the argument is 0 */
	unsigned int default_verdict;	/* on a trap, a miss or a bad verdict */
	unsigned int verdict_min, verdict_max;	/* inclusive, unsigned */
	unsigned long long percpu_vmctx;/* per-CPU address of a struct wring_vmctx * */
	/* Per invocation. The time is wring_vmctx::time_slice, which the host may change. */
	unsigned long long fuel;
	/*
	 * Address of an int that is not 0 while invocations are to be timed (0: never), and of the functions called
	 * then, in any context: void time_begin(struct wring_vmctx *, struct wring_hook_timing *) and, with what that
	 * filled in, u32 time_end(struct wring_vmctx *, struct wring_hook_timing *, u32 verdict), which returns the
	 * verdict. On the hook's own stack, turned to a multiple of 16 if the hook's caller has it so.
	 */
	unsigned long long is_timed, time_begin, time_end;
	/*
	 * The CPU's stacks: per-CPU addresses of a struct wring_hook_stack * (wring_hook_stack_init) that is the next
	 * to use, and of the int that keeps the kernel from preempting (0: it never does). Programs run on one of
	 * them; with may_nest all do, else those do not that call no C functions and use less than 512 bytes.
	 * private_stack: they take one, but run on their own (wring_instance_set_stack).
	 *
	 * A hook that is hit on a program's stack is nested in its invocation: by what the program calls, by a fault,
	 * not by interrupts, which have stacks of their own (one within a softirq may not, and then counts as nested).
	 * A nested invocation's time ends with that of the one around it; after that none begins.
	 */
	unsigned long long percpu_stacks, percpu_preempt_count;
	unsigned int may_nest;		/* the hook may be hit from within a program's invocation */
	unsigned int private_stack;
	/*
	 * u32 slow_path(struct wring_vmctx *, u32 event, u32 value), event being enum wring_hook_event, returns the
	 * verdict. Any context. On the program's stack if it has taken one, but for WRING_HOOK_MISS. 0: there is no
	 * such function, and the answer is default_verdict.
	 */
	unsigned long long slow_path;
	/*
	 * u32 fpu_begin(void), whether vector registers may be used now (0: a miss), and void fpu_end(void): called
	 * around programs that use them (wring_code_uses_fpu), on the hook's own stack.
	 */
	unsigned long long fpu_begin, fpu_end;
};

enum wring_hook_event {
	WRING_HOOK_MISS,	/* the program did not run; value: enum wring_hook_miss; vmctx must not be touched */
	WRING_HOOK_TRAP,	/* value: the reason; the trap is recorded in the vmctx */
	WRING_HOOK_BAD_VERDICT,	/* value: the verdict */
};

enum wring_hook_miss {
	WRING_MISS_BUSY,	/* it runs on this CPU already */
	WRING_MISS_NO_FPU,	/* it uses the FPU, which what is interrupted may be using */
	/*
	 * So many programs are running on this CPU, interrupting each other, that there is no stack; or the time of the
	 * one that this one is nested in is over.
	 */
	WRING_MISS_TOO_DEEP,
	WRING_MISS_ENGINE_COUNT	/* from here on the host's own */
};

#endif /* WRING_CORE_ABI_HOOK_H */
