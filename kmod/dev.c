// SPDX-License-Identifier: GPL-2.0
/*
 * dev.c - /dev/wring and how commands get in and out: sizes, copies, errors, new file descriptors.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "wring.h"

/* ---- commands ---- */

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
	struct wring_error_info info = {
		.kind = report->kind,
		.func = report->func,
		.offset = report->offset,
		.trap = report->trap,
	};
	void __user *user;
	u32 room;

	if (!command->error_at || report->kind == WRING_ERROR_NONE)
		return;
	user = u64_to_user_ptr(*(u64 *)(arg + command->error_at));
	room = *(u32 *)(arg + command->error_bytes_at);
	BUILD_BUG_ON(sizeof(info.message) != sizeof(report->message));
	strscpy(info.message, report->message, sizeof(info.message));
	/* A caller who cannot be told has the errno. */
	if (copy_to_user(user, &info, min_t(size_t, room, sizeof(info))))
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

/**
 * wring_command_run - carry out an ioctl
 * @file: what it was issued on
 * @commands: the commands of such a file
 * @count: of commands
 * @cmd: the ioctl's number, with the size of the caller's struct
 * @arg: the struct's user address
 *
 * Context: process context, may sleep.
 * Return: 0 or a new fd, or a negative errno; -ENOTTY if there is no such command.
 */
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

/* ---- /dev/wring ---- */

static int wring_device_open(struct inode *inode, struct file *file)
{
	if (!wring_may_use())
		return -EPERM;
	file->private_data = wring_session_new();
	return file->private_data ? 0 : -ENOMEM;
}

static int wring_device_release(struct inode *inode, struct file *file)
{
	wring_session_put(file->private_data);
	return 0;
}

static int wring_features(struct wring_call *call, void *arg)
{
	struct wring_features *features = arg;
	struct wring_target target;

	if (features->reserved)
		return -EINVAL;
	memset(features, 0, sizeof(*features));
	wring_target_get(&target);
	features->abi = WRING_ABI_VERSION;
	features->cpu = target.cpu;
	features->mitigations = wring_target_mitigations(&target);
	features->prog_types = wring_hook_types_loadable() | BIT(WRING_PROG_MODULE);
	features->link_types = wring_hook_types_attachable();
	features->programs = wring_program_count();
	wring_memory_count(&features->reservations, &features->reservations_pooled);
	features->code_bytes = wring_text_total();
	features->internal_errors = wring_recovery_count();
	features->loads = wring_loads_state();
	return 0;
}

static int wring_device_link_attach(struct wring_call *call, void *arg)
{
	return wring_link_attach(arg, &call->report);
}

static void wring_device_link_undo(struct wring_call *call, void *arg)
{
	const struct wring_link_attach *attach = arg;

	wring_link_undo(attach->id);
}

static int wring_device_link_detach(struct wring_call *call, void *arg)
{
	return wring_link_detach(arg, &call->report);
}

static int wring_device_link_info(struct wring_call *call, void *arg)
{
	return wring_link_info(arg, &call->report);
}

static int wring_device_link_next_id(struct wring_call *call, void *arg)
{
	return wring_link_next_id(arg, &call->report);
}

static const struct wring_command wring_device_commands[] = {
	WRING_COMMAND(WRING_IOC_FEATURES, struct wring_features, reserved,
		      .handle = wring_features),
	WRING_COMMAND(WRING_IOC_PROG_LOAD, struct wring_prog_load, entry,
		      .handle = wring_program_load, .undo = wring_program_load_undo,
		      WRING_ERROR_FIELDS(struct wring_prog_load)),
	WRING_COMMAND(WRING_IOC_PROG_NEXT_ID, struct wring_next_id, flags,
		      .handle = wring_program_next_id),
	WRING_COMMAND(WRING_IOC_PROG_OPEN, struct wring_prog_open, flags,
		      .handle = wring_program_open),
	WRING_COMMAND(WRING_IOC_INSTANCE_NEW, struct wring_instance_new, features,
		      .handle = wring_instance_create,
		      WRING_ERROR_FIELDS(struct wring_instance_new)),
	WRING_COMMAND(WRING_IOC_LINK_ATTACH, struct wring_link_attach, target,
		      .handle = wring_device_link_attach, .undo = wring_device_link_undo,
		      WRING_ERROR_FIELDS(struct wring_link_attach)),
	WRING_COMMAND(WRING_IOC_LINK_DETACH, struct wring_link_detach, flags,
		      .handle = wring_device_link_detach,
		      WRING_ERROR_FIELDS(struct wring_link_detach)),
	WRING_COMMAND(WRING_IOC_LINK_NEXT_ID, struct wring_next_id, flags,
		      .handle = wring_device_link_next_id),
	WRING_COMMAND(WRING_IOC_LINK_INFO, struct wring_link_info, target,
		      .handle = wring_device_link_info,
		      WRING_ERROR_FIELDS(struct wring_link_info)),
};

static long wring_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	/* The file may have been passed on to somebody who could not have opened it. */
	if (!wring_may_use())
		return -EPERM;
	return wring_command_run(file, wring_device_commands, ARRAY_SIZE(wring_device_commands),
				 cmd, arg);
}

static const struct file_operations wring_device_fops = {
	.owner = THIS_MODULE,
	.open = wring_device_open,
	.release = wring_device_release,
	.unlocked_ioctl = wring_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice wring_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "wring",
	.fops = &wring_device_fops,
	.mode = 0600,
};

/**
 * wring_device_init - make /dev/wring appear
 *
 * Context: module initialization; everything else is ready.
 * Return: 0 or a negative errno.
 */
int wring_device_init(void)
{
	return misc_register(&wring_device);
}

/**
 * wring_device_exit - remove /dev/wring
 *
 * Context: module exit.
 */
void wring_device_exit(void)
{
	misc_deregister(&wring_device);
}
