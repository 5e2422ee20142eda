/* SPDX-License-Identifier: GPL-2.0 */
/*
 * link.h - links: which program runs where, by id.
 */
#ifndef WRING_HOOKS_LINK_H
#define WRING_HOOKS_LINK_H

#include <linux/list.h>
#include <linux/types.h>

#include "uapi/wring.h"

struct wring_family;
struct wring_program;
struct wring_report;

/* A program attached to a hook; families' own links begin with it. Constant while it exists. */
struct wring_link {
	u32 id;
	struct wring_program *program;	/* counted with wring_program_link */
	struct list_head dead;		/* while it is being freed */
};

/* Process context, may sleep. */

/*
 * Attaches a program as the request says, whose fields all families share have been checked; its id is filled in. 0, or
 * a negative errno with the report filled in.
 */
int wring_link_attach(struct wring_program *program, struct wring_link_attach *attach,
		      struct wring_report *report);
/*
 * Detaches a link of this program (NULL: of any): 0 or -ENOENT; or all of them: how many there were. Either may be
 * -EINTR. When it returns no program runs any more through those links. Whoever attaches meanwhile was there before, or
 * comes afterwards.
 */
int wring_link_detach(u32 id, const struct wring_program *program);
int wring_link_detach_all(const struct wring_program *program);
/* Takes back an attachment that its maker cannot be told of, if it is still there. */
void wring_link_undo(u32 id);
/* Describes a link of this program (NULL: of any): 0, -ENOENT or -EINTR. */
int wring_link_describe(u32 id, const struct wring_program *program, struct wring_link_info *info);
/* The smallest id from `id` (at most INT_MAX) on, -ENOENT or -EINTR. */
int wring_link_next(u32 id, u32 *next);

/* Copies a name of the request, both of WRING_TARGET_LEN bytes. 0, or -EINVAL unless it is terminated and printable. */
int wring_link_name_copy(char *to, const char *name, const char *field,
			 struct wring_report *report);

/* Module initialization, and exit, when no link exists. 0 or a negative errno. */
int wring_link_init(void);
void wring_link_exit(void);

#endif /* WRING_HOOKS_LINK_H */
