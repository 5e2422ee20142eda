// SPDX-License-Identifier: GPL-2.0
/*
 * links.c - the link commands: what is asked for, and whether the caller may.
 */
#include <linux/err.h>
#include <linux/minmax.h>

#include "device/command.h"
#include "device/links.h"
#include "device/programs.h"
#include "hooks/link.h"
#include "policy/policy.h"
#include "unit/program.h"

static struct wring_program *wring_link_program(int fd, struct wring_report *report)
{
	struct wring_program *program = wring_program_get_fd(fd);

	if (IS_ERR(program))
		wring_report_set(report, PTR_ERR(program), "prog_fd is not a program");
	return program;
}

/*
 * The program that a command gives to prove that it may: referenced; NULL without the flag; or an ERR_PTR. Without one
 * the caller has to be allowed to look up links of others (as BPF_LINK_GET_FD_BY_ID).
 */
static struct wring_program *wring_link_holder(u32 flags, int prog_fd, struct wring_report *report)
{
	int err;

	if (flags & WRING_LINK_F_PROG_FD)
		return wring_link_program(prog_fd, report);
	if (prog_fd)
		return ERR_PTR(wring_report_set(report, -EINVAL, "prog_fd without its flag"));
	err = wring_may_look_up(report);
	return err ? ERR_PTR(err) : NULL;
}

static void wring_link_holder_put(struct wring_program *holder)
{
	if (holder)
		wring_program_put(holder);
}

int wring_command_link_attach(struct wring_call *call, void *arg)
{
	struct wring_link_attach *attach = arg;
	struct wring_program *program;
	int err;

	if (attach->flags)
		return wring_report_set(&call->report, -EINVAL, "unknown flags are set");
	program = wring_link_program(attach->prog_fd, &call->report);
	if (IS_ERR(program))
		return PTR_ERR(program);
	if (program->unit.family)
		err = wring_may_attach(program->unit.family, &call->report) ?:
			      wring_link_attach(program, attach, &call->report);
	else
		err = wring_report_set(&call->report, -EINVAL,
				       "the program was not loaded for a hook");
	wring_program_put(program);
	return err;
}

void wring_command_link_undo(struct wring_call *call, void *arg)
{
	const struct wring_link_attach *attach = arg;

	wring_link_undo(attach->id);
}

static int wring_link_detach_check(const struct wring_link_detach *detach,
				   struct wring_report *report)
{
	bool all = detach->flags & WRING_LINK_F_ALL;

	if (detach->flags & ~(WRING_LINK_F_PROG_FD | WRING_LINK_F_ALL) || detach->reserved)
		return wring_report_set(report, -EINVAL,
					"unknown flags or reserved fields are set");
	if (all && (detach->id || detach->flags & WRING_LINK_F_PROG_FD))
		return wring_report_set(report, -EINVAL, "all links, and one of them");
	return 0;
}

/*
 * As BPF_LINK_DETACH, for which one holds the link by an fd or gets one by id; and, as netlink for XDP, only for
 * whoever could attach it.
 */
int wring_command_link_detach(struct wring_call *call, void *arg)
{
	struct wring_link_detach *detach = arg;
	struct wring_program *holder;
	int err;

	err = wring_link_detach_check(detach, &call->report);
	if (err)
		return err;
	holder = wring_link_holder(detach->flags, detach->prog_fd, &call->report);
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	err = holder ? wring_may_attach(holder->unit.family, &call->report) : 0;
	if (err)
		goto out;
	if (detach->flags & WRING_LINK_F_ALL) {
		err = wring_link_detach_all(NULL);
		detach->detached = max(err, 0);
		err = min(err, 0);
	} else {
		err = wring_link_detach(detach->id, holder);
		detach->detached = !err;
		if (err == -ENOENT)
			wring_report_set(&call->report, err, "no such link");
	}
out:
	wring_link_holder_put(holder);
	return err;
}

int wring_command_link_info(struct wring_call *call, void *arg)
{
	struct wring_link_info *info = arg;
	struct wring_program *holder;
	int err;

	if (info->flags & ~WRING_LINK_F_PROG_FD || info->reserved)
		return wring_report_set(&call->report, -EINVAL,
					"unknown flags or reserved fields are set");
	holder = wring_link_holder(info->flags, info->prog_fd, &call->report);
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	info->unused = 0;
	err = wring_link_describe(info->id, holder, info);
	if (err == -ENOENT)
		wring_report_set(&call->report, err, "no such link");
	wring_link_holder_put(holder);
	return err;
}

int wring_command_link_next_id(struct wring_call *call, void *arg)
{
	return wring_command_next_id(call, arg, wring_link_next);
}
