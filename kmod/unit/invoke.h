/* SPDX-License-Identifier: GPL-2.0 */
/*
 * invoke.h - exports run in the caller's process context.
 */
#ifndef WRING_UNIT_INVOKE_H
#define WRING_UNIT_INVOKE_H

#include <linux/mutex.h>
#include <linux/types.h>

#include "uapi/wring.h"

struct wring_instance;
struct wring_program_cpu;
struct wring_report;
struct wring_unit;

/* What can be invoked: an instance of a WRING_PROG_MODULE program or of a session. Alive meanwhile. */
struct wring_invokee {
	const struct wring_unit *unit;
	struct wring_instance *instance;
	struct mutex *lock;		/* invocations and store changes take turns */
	void **stack;			/* of unit->stack_bytes, made when first needed; under the lock */
	struct wring_program_cpu *cpu;	/* to count and record at, or NULL */
};

/*
 * WRING_IOC_INVOKE and WRING_IOC_EXPORT_GET; the struct is in kernel memory. 0 (also if the guest trapped) or a
 * negative errno with the report filled in; of a trap too. May sleep for as long as the fuel lasts, ends early when the
 * caller is killed.
 */
int wring_invokee_invoke(const struct wring_invokee *target, struct wring_invoke *invoke,
			 struct wring_report *report);
int wring_invokee_export(const struct wring_invokee *target, struct wring_export_get *get,
			 struct wring_report *report);

/*
 * Runs the start function of a new instance, which nobody else uses yet, if it has one, on the stack (of
 * unit->stack_bytes), with this much fuel. 0 or a negative errno with the report filled in. May sleep.
 */
int wring_start_run(const struct wring_unit *unit, struct wring_instance *instance, void *stack,
		    u64 fuel, struct wring_report *report);

#endif /* WRING_UNIT_INVOKE_H */
