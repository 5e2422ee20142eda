/* SPDX-License-Identifier: GPL-2.0 */
/*
 * command.h - how commands (ioctls) get in and out: sizes, copies, errors, new file descriptors.
 */
#ifndef WRING_DEVICE_COMMAND_H
#define WRING_DEVICE_COMMAND_H

#include <linux/fs.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include "report.h"
#include "uapi/wring.h"

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
 * handle gets a kernel copy, which is copied back when it returns 0 (else it returns a negative errno, with the report
 * filled in where there is more to say); undo (may be NULL) takes its effect back when that fails.
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

/*
 * Finds and runs a command of a table: 0 or a new fd, or a negative errno, -ENOTTY if there is no such command. `cmd`
 * is the ioctl's number with the size of the caller's struct. For .unlocked_ioctl: process context, may sleep.
 */
long wring_command_run(struct file *file, const struct wring_command *commands, u32 count,
		       unsigned int cmd, unsigned long arg);

/*
 * The commands that list ids: `find` gives the smallest id from one on (1 to INT_MAX), or a negative errno. May sleep.
 */
int wring_command_next_id(struct wring_call *call, struct wring_next_id *next,
			  int (*find)(u32 id, u32 *found));

#endif /* WRING_DEVICE_COMMAND_H */
