// SPDX-License-Identifier: GPL-2.0
// What the POSIX host offers to tools and tests beyond core/platform.h: placing code, running it on a stack of its
// own, and making allocations fail on purpose.
#pragma once

#include "core/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

// Puts the code into executable memory near this program, catches the faults of its memory accesses, and frees the
// memory when the engine releases the code. 0 or -enum wring_err. The fault handler is installed on first use.
int wring_posix_place(struct wring_code* code, struct wring_error* err);

// The machine this runs on, without the kernel's mitigations.
struct wring_target wring_posix_target(void);

// wring_invoke on a stack of `stack_bytes` bytes that is mapped, with a guard page below, for the calling thread.
unsigned int wring_posix_invoke(struct wring_instance* instance, unsigned int func,
                                unsigned long long* argv, unsigned long long* fuel);
#define WRING_POSIX_STACK_BYTES (1u << 20)

// Makes the n-th allocation from now on fail (1: the next one), and all after it; 0: none. Counts wring_os_alloc,
// memory reservations and commits, and code memory. Returns how many were asked for since the last call.
unsigned long long wring_posix_fail_allocation(unsigned long long n);
// From then on the n-th one fails alone: those after it succeed.
void wring_posix_fail_alone(bool alone);
// Allocations, reservations and pieces of code memory not given back yet.
long long wring_posix_live_allocations(void);

// How often an invariant of the engine has been found broken. Strict: that ends the process even where the engine could
// recover, as fuzzers and tests want it that treat it as a finding.
unsigned long long wring_posix_broken_invariants(void);
void wring_posix_strict(int strict);

#ifdef WRING_INJECT
// Fault injection (core/base/inject.h), for the calling thread: counts anew, and makes the n-th assertion evaluated in
// the stage fail (0: none). The stages are those of enum Stage.
#define WRING_POSIX_STAGES 8
void wring_posix_inject(unsigned int stage, unsigned long long n);
unsigned long long wring_posix_assertions(unsigned int stage);
#endif

// Makes wring_os_yield answer "stop" once the flag is non-zero; NULL: never.
void wring_posix_stop_flag(const volatile int* flag);

// Calls the function whenever the calling thread yields, with `arg`; non-zero is the answer "stop". NULL: none. The
// function may set wring_os_pace, which says after how much work it is called again.
void wring_posix_on_yield(int (*hook)(void* arg), void* arg);

#ifdef __cplusplus
}
#endif
