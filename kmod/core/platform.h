/* SPDX-License-Identifier: GPL-2.0 */
/*
 * platform.h - everything the engine asks of its host.
 *
 * Two hosts implement it: kmod/platform.c (the kernel) and selftests/host/platform_posix.cc (a process).
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
 * An engine invariant is broken (never the guest's doing): report the text and do not return. Not declared noreturn,
 * because objtool only believes that of the kernel's own functions; the engine's assertions end in a trap of their own.
 */
void wring_os_panic(const char *what);

/*
 * Called now and then by long compilations: lets others run. Returns non-zero when the caller is being
 * killed and the work should be abandoned with WRING_ERR_INTERRUPTED.
 */
int wring_os_yield(void);

/*
 * Linear memory: reserves the address space of one 32-bit memory (8 GiB plus a tail guard page, all
 * inaccessible). NULL when reservations or address space run out.
 */
unsigned char *wring_os_memory_reserve(void);
/*
 * Makes [old_bytes, new_bytes) of the reservation readable, writable and zero. Both are multiples of
 * 64 KiB, new_bytes > old_bytes. 0 or -1, then nothing changed. May sleep: the engine does not call it for
 * invocations that must not (wring_vmctx::may_sleep == 0), there memory.grow answers -1.
 */
int wring_os_memory_commit(unsigned char *base, wring_size old_bytes, wring_size new_bytes);
/* Gives the whole reservation and its pages back. */
void wring_os_memory_release(unsigned char *base, wring_size bytes);

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
