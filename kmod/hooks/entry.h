/* SPDX-License-Identifier: GPL-2.0 */
/*
 * entry.h - a program's native entry at its hook.
 */
#ifndef WRING_HOOKS_ENTRY_H
#define WRING_HOOKS_ENTRY_H

struct wring_hook_entry;
struct wring_program;

/*
 * Tells the compiler what the entry of a program is to be like: its family's layout, its own limits, whom to call. The
 * program's entry function is known. Any context.
 */
void wring_hook_entry_describe(const struct wring_program *program, struct wring_hook_entry *entry);

#endif /* WRING_HOOKS_ENTRY_H */
