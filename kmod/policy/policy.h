/* SPDX-License-Identifier: GPL-2.0 */
/*
 * policy.h - who may do what, and whether anybody may load at all.
 *
 * Capabilities are the calling task's, in the initial user namespace, whoever opened the file that a command is issued
 * on: an fd that was passed on carries no capabilities. CAP_SYS_ADMIN stands for CAP_BPF, CAP_NET_ADMIN and
 * CAP_PERFMON, as it does for bpf(2).
 *
 * Process context, unless a function says otherwise. Those that take a report return 0 or -EPERM with it filled in.
 */
#ifndef WRING_POLICY_H
#define WRING_POLICY_H

#include <linux/security.h>
#include <linux/types.h>

struct wring_family;
struct wring_module;
struct wring_report;

/* ---- authority.c ---- */

/* Whether the caller may open and use /dev/wring. */
bool wring_may_use(void);
/*
 * Whether it may load programs for a kind of hook (NULL: for none), run them by hand or unload them, and attach those
 * it holds or detach them.
 */
int wring_may_load(const struct wring_family *family, struct wring_report *report);
int wring_may_run(const struct wring_family *family, struct wring_report *report);
int wring_may_attach(const struct wring_family *family, struct wring_report *report);
/* Whether it may find and open by id what others made. */
int wring_may_look_up(struct wring_report *report);
/* Whether code that it loads may run past its bounds checks speculatively. */
bool wring_may_speculate(void);
/* Whether it may know addresses of code, and (0 or -EPERM) read the code of a program that it holds by an fd. */
bool wring_may_see_addresses(void);
int wring_may_read_code(void);
/* Whether lockdown leaves guests what `reach` says: 0 or -EPERM. Asked when a module that wants it is loaded. */
int wring_may_reach(enum lockdown_reason reach);
/*
 * Asks security modules whether they let a load pass: 0 or their negative errno with the report filled in. The module
 * is decoded, and was copied from `user` in the caller's memory. May sleep.
 */
int wring_lsm_load(const struct wring_family *family, const char *name,
		   const struct wring_module *module, u64 user, struct wring_report *report);
/* An audit record of a program (id 0: an instance) that came or went: `op` is "LOAD" or "UNLOAD". Any but NMI. */
void wring_audit(u32 id, const u8 tag[8], const char *op);

/* ---- loads.c: the administrator's switch ---- */

/* Module initialization and exit. 0 or a negative errno. */
int wring_loads_init(void);
void wring_loads_exit(void);
/* enum wring_loads. Any context. */
u32 wring_loads_state(void);
/* Any context. */
int wring_loads_check(struct wring_report *report);

#endif /* WRING_POLICY_H */
