// SPDX-License-Identifier: GPL-2.0
/*
 * command.c - carries out ioctls.
 */
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device/command.h"
#include "os/os.h"
#include "policy/policy.h"

static const struct wring_command *wring_command_find(const struct wring_command *commands,
						      u32 count, unsigned int cmd)
{
	u32 i;

	/* The size is whatever the caller's headers said. */
	for (i = 0; i < count; i++) {
		if (_IOC_TYPE(cmd) == _IOC_TYPE(commands[i].number) &&
		    _IOC_NR(cmd) == _IOC_NR(commands[i].number) &&
		    _IOC_DIR(cmd) == _IOC_DIR(commands[i].number))
			return &commands[i];
	}
	return NULL;
}

/* Checked up front, so that a command is not carried out that could not have told of its failure. */
static bool wring_error_buffer_valid(const struct wring_command *command, const void *arg)
{
	u64 error;
	u32 bytes;

	if (!command->error_at)
		return true;
	error = *(u64 *)(arg + command->error_at);
	bytes = *(u32 *)(arg + command->error_bytes_at);
	return !error == !bytes;
}

static void wring_report_deliver(const struct wring_command *command, const void *arg,
				 const struct wring_report *report)
{
	void __user *user;
	u32 room;

	if (!command->error_at || report->info.kind == WRING_ERROR_NONE)
		return;
	user = u64_to_user_ptr(*(u64 *)(arg + command->error_at));
	room = *(u32 *)(arg + command->error_bytes_at);
	/* A caller who cannot be told has the errno. */
	if (copy_to_user(user, &report->info, min_t(size_t, room, sizeof(report->info))))
		return;
}

/* Hands out the struct and the new file; on failure neither. */
static long wring_command_finish(struct wring_call *call, void __user *user, const void *arg,
				 size_t size)
{
	int fd = 0;

	if (call->new_file) {
		fd = get_unused_fd_flags(O_CLOEXEC);
		if (fd < 0)
			return fd;
	}
	if (copy_to_user(user, arg, size)) {
		if (call->new_file)
			put_unused_fd(fd);
		return -EFAULT;
	}
	if (call->new_file)
		fd_install(fd, call->new_file);
	return fd;
}

long wring_command_run(struct file *file, const struct wring_command *commands, u32 count,
		       unsigned int cmd, unsigned long arg)
{
	const struct wring_command *command = wring_command_find(commands, count, cmd);
	void __user *user = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);
	struct wring_call *call;
	void *copy;
	long ret;

	if (!command)
		return -ENOTTY;
	if (size < command->min_size)
		return -EINVAL;
	call = kzalloc(sizeof(*call), WRING_GFP);
	copy = kzalloc(command->size, WRING_GFP);
	ret = -ENOMEM;
	if (!call || !copy)
		goto out;
	call->file = file;
	ret = copy_struct_from_user(copy, command->size, user, size);
	if (ret)
		goto out;
	ret = -EINVAL;
	if (!wring_error_buffer_valid(command, copy))
		goto out;
	ret = command->handle(call, copy);
	wring_report_deliver(command, copy, &call->report);
	if (ret)
		goto out;
	ret = wring_command_finish(call, user, copy, min_t(size_t, size, command->size));
	if (ret < 0) {
		if (command->undo)
			command->undo(call, copy);
		if (call->new_file)
			fput(call->new_file);
	}
out:
	kfree(copy);
	kfree(call);
	return ret;
}

int wring_command_next_id(struct wring_call *call, struct wring_next_id *next,
			  int (*find)(u32 id, u32 *found))
{
	int err;

	if (next->flags)
		return -EINVAL;
	err = wring_may_look_up(&call->report);
	if (err)
		return err;
	return next->id >= INT_MAX ? -ENOENT : find(next->id + 1, &next->id);
}
