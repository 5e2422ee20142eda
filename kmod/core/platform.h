/* SPDX-License-Identifier: GPL-2.0 */
/*
 * platform.h - everything the engine asks of its host.
 *
 * Two hosts implement it: kmod/os/platform.c (the kernel) and selftests/host/platform_posix.cc (a process).
 * scripts/check-seam checks that the engine's objects need nothing else but the four mem* functions that
 * compilers emit calls to. C and C++ both include this file.
 *
 * Context: unless a function says otherwise it is called in a context that may sleep, with no locks held.
 */
#ifndef WRING_CORE_PLATFORM_H
#define WRING_CORE_PLATFORM_H

#ifdef __cplusplus
extern "C" {
#endif

typedef __SIZE_TYPE__ wring_size;

/* Zero-filled memory aligned to 16 bytes, charged to the caller, or NULL. Any size; 0 is not asked for. */
void *wring_os_alloc(wring_size bytes);
/* Frees what wring_os_alloc returned; NULL is allowed. */
void wring_os_free(void *ptr);

/* snprintf's meaning: NUL-terminated, truncating. No floating point conversions are used. */
int wring_os_vformat(char *buf, wring_size size, const char *fmt, __builtin_va_list args);

/*
 * Recovery points (base/recovery.h): where an engine call that breaks an invariant is left, with its registers. They
 * lie on the stack and nest; those of different stacks have nothing to do with each other. `what` is the invariant,
 * `owner` the engine's, `seal`, `host` and `probes` the host's.
 */
struct wring_recovery {
	unsigned long long seal;
	unsigned long long host;
	const char *what;
	void *owner;
	unsigned long long registers[8];
	void *probes;
};
/* Makes the point the innermost one of the stack it lies on, and takes it back (those within it too). Any context. */
void wring_os_recovery_begin(struct wring_recovery *point);
void wring_os_recovery_end(struct wring_recovery *point);
/* The innermost recovery point of the caller's stack, or NULL. Any context. */
struct wring_recovery *wring_os_recovery(void);
/* The engine is about to go back to the point: the calls in between will not return. Any context. */
void wring_os_recovery_resume(struct wring_recovery *point);
/*
 * An engine invariant is broken (never the guest's doing): report the text, of which there may be a flood. Returns if
 * there is a recovery point, which the engine then goes back to; else it does not return. Any context. Not declared
 * noreturn, because objtool only believes that of the kernel's own functions.
 */
void wring_os_panic(const char *what, struct wring_recovery *point);

/*
 * Lets others run. Returns non-zero when the caller is being killed and the work should be abandoned with
 * WRING_ERR_INTERRUPTED. Called within a millisecond or two of work (base/pace.h).
 */
int wring_os_yield(void);
/*
 * How many steps of work are left until then: a per-CPU variable of the kernel, a thread's in a process. The engine
 * counts down and begins anew.
 */
#if defined(__cplusplus) && __STDC_HOSTED__
extern __thread int wring_os_pace __attribute__((tls_model("local-exec")));
#endif

/*
 * Linear memory: reserves the address space of one memory (8 GiB plus a tail guard page). The first `bytes` (a multiple
 * of 64 KiB, or 0) are readable, writable and zero, the rest is inaccessible. NULL when memory, reservations or
 * address space run out. Meant to be fast where an earlier reservation of a like size has been released.
 */
unsigned char *wring_os_memory_reserve(wring_size bytes);
/*
 * Makes [old_bytes, new_bytes) of the reservation readable, writable and zero. Both are multiples of
 * 64 KiB, new_bytes > old_bytes. 0 or -1, then nothing changed. May sleep: the engine does not call it for
 * invocations that must not (wring_vmctx::may_sleep == 0), there memory.grow answers -1.
 */
int wring_os_memory_commit(unsigned char *base, wring_size old_bytes, wring_size new_bytes);
/* Gives the whole reservation and its pages back; `bytes` are committed. */
void wring_os_memory_release(unsigned char *base, wring_size bytes);

/*
 * Tables that may grow, which must not move: address space for `bytes` (a multiple of 4 KiB), all inaccessible, or
 * NULL. commit and release as for linear memory, but in multiples of 4 KiB.
 */
void *wring_os_table_reserve(wring_size bytes);
int wring_os_table_commit(void *base, wring_size old_bytes, wring_size new_bytes);
void wring_os_table_release(void *base, wring_size reserved_bytes, wring_size committed_bytes);

/*
 * memory.atomic.wait and notify, on addresses in committed linear memory. wait blocks if the `bytes` (4 or 8) at the
 * address hold `expected`, until a notify of that address, for at most timeout_ns (negative: for ever); no notify
 * between the comparison and the blocking is lost. notify wakes up to `count` waiters and returns how many there were.
 */
enum wring_wait_result {
	WRING_WAIT_WOKEN,
	WRING_WAIT_NOT_EQUAL,
	WRING_WAIT_TIMED_OUT,
	WRING_WAIT_INTERRUPTED,	/* the caller is being killed, or could not be */
};
enum wring_wait_result wring_os_wait(const void *address, unsigned int bytes,
				     unsigned long long expected, long long timeout_ns);
unsigned int wring_os_notify(const void *address, unsigned int count);

/* Cycles of the time stamp counter per microsecond, about. Any context. */
unsigned int wring_os_cycles_per_us(void);
/* Whether the caller is in an NMI, which nothing interrupts. Any context. */
int wring_os_in_nmi(void);

/*
 * Brackets of code that uses the FPU, in process context: what is between them neither sleeps nor is it preempted, and
 * MXCSR has its default value (round to nearest, no exceptions, denormals kept). end puts back what begin found.
 */
void wring_os_fpu_begin(void);
void wring_os_fpu_end(void);

/*
 * Executable memory for the bridges that instances linked to each other call through (programs linked only to
 * the host never need any; a module's own code is placed by the host, see wring_code_place). alloc: `bytes` (a
 * multiple of 16) zero-filled, writable, not yet executable, at the final address, 16-byte aligned and within
 * rel32 reach of the host's thunks where the target has any; or NULL. publish: makes exactly that piece read-only
 * and executable; 0 or -1 (then it stays as it was). free: in either state. May sleep.
 */
void *wring_os_code_alloc(wring_size bytes);
int wring_os_code_publish(void *code, wring_size bytes);
void wring_os_code_free(void *code, wring_size bytes);

#ifdef __cplusplus
}
#endif

#endif /* WRING_CORE_PLATFORM_H */
