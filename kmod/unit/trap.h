/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trap.h - records of traps.
 */
#ifndef WRING_UNIT_TRAP_H
#define WRING_UNIT_TRAP_H

#include "core/engine.h"
#include "uapi/wring.h"

struct wring_program;
struct wring_program_cpu;

/*
 * Keeps the trap of an invocation, and counts it. `vmctx` is the instance's that the host entered, and still the
 * caller's. Any context, NMI included.
 */
void wring_trap_record(struct wring_program_cpu *cpu, const struct wring_vmctx *vmctx, u32 reason);
/* The most recent trap of a program on any CPU; all zero if there was none. May sleep. */
void wring_trap_last(struct wring_program *program, struct wring_trap_info *info);

#endif /* WRING_UNIT_TRAP_H */
