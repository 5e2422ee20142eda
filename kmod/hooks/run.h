/* SPDX-License-Identifier: GPL-2.0 */
/*
 * run.h - test runs: a hook's entry called on given input. Process context, may sleep.
 */
#ifndef WRING_HOOKS_RUN_H
#define WRING_HOOKS_RUN_H

#include <linux/types.h>

#include "uapi/wring.h"

struct wring_program;
struct wring_report;

/*
 * The most that test runs of packet hooks take: a page less this is what drivers offer; 64 KiB are for those that want
 * more.
 */
#define WRING_MAX_RUN_BYTES 65535u

/*
 * Runs the program on ctx, which is reused as the program leaves it, as often as run->repeat says, with softirqs
 * disabled as at a hook, and fills in what is told of the runs. 0, or -EINTR with the report filled in if a signal
 * came.
 */
int wring_run_repeat(struct wring_program *program, void *ctx, struct wring_prog_run *run,
		     struct wring_report *report);
/* Copies the packet in: 0 or -EFAULT with the report filled in. `data` has room for run->data_in_bytes. */
int wring_run_copy_in(const struct wring_prog_run *run, void *data, struct wring_report *report);
/* Copies the packet back as run->data_out asks, and its size. 0 or -EFAULT with the report filled in. */
int wring_run_copy_out(struct wring_prog_run *run, const void *data, u32 bytes,
		       struct wring_report *report);

#endif /* WRING_HOOKS_RUN_H */
