// SPDX-License-Identifier: GPL-2.0
/*
 * device.c - /dev/wring: who may open it, its commands, and what it offers.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "core/engine.h"
#include "device/command.h"
#include "device/device.h"
#include "device/links.h"
#include "device/programs.h"
#include "device/session.h"
#include "hooks/family.h"
#include "mem/mem.h"
#include "os/os.h"
#include "policy/policy.h"
#include "unit/program.h"

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
	wring_target_get(&target, !wring_may_speculate());
	features->abi = WRING_ABI_VERSION;
	features->cpu = wring_target_cpu(&target);
	features->mitigations = wring_target_mitigations(&target);
	features->prog_types = wring_family_types() | BIT(WRING_PROG_MODULE);
	features->link_types = wring_family_types();
	features->programs = wring_program_count();
	wring_memory_count(&features->reservations, &features->reservations_pooled);
	features->code_bytes = wring_text_total();
	features->internal_errors = wring_recovery_count();
	features->loads = wring_loads_state();
	return 0;
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
	WRING_COMMAND(WRING_IOC_LINK_ATTACH, struct wring_link_attach, room,
		      .handle = wring_command_link_attach, .undo = wring_command_link_undo,
		      WRING_ERROR_FIELDS(struct wring_link_attach)),
	WRING_COMMAND(WRING_IOC_LINK_DETACH, struct wring_link_detach, flags,
		      .handle = wring_command_link_detach,
		      WRING_ERROR_FIELDS(struct wring_link_detach)),
	WRING_COMMAND(WRING_IOC_LINK_NEXT_ID, struct wring_next_id, flags,
		      .handle = wring_command_link_next_id),
	WRING_COMMAND(WRING_IOC_LINK_INFO, struct wring_link_info, room,
		      .handle = wring_command_link_info,
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

int wring_device_init(void)
{
	return misc_register(&wring_device);
}

void wring_device_exit(void)
{
	misc_deregister(&wring_device);
}
