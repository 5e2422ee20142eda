/* SPDX-License-Identifier: GPL-2.0 */
/*
 * space.h - address space that reservations take.
 */
#ifndef WRING_MEM_SPACE_H
#define WRING_MEM_SPACE_H

#include <linux/types.h>

struct wring_space_user;

/*
 * Takes address space for the caller: who has it, or NULL if there is no more, or if it would be more than half of what
 * there is and the caller lacks CAP_SYS_ADMIN. May sleep.
 */
struct wring_space_user *wring_space_take(u64 bytes);
/* Gives it back; any task may. May sleep. */
void wring_space_give(struct wring_space_user *user, u64 bytes);

#endif /* WRING_MEM_SPACE_H */
