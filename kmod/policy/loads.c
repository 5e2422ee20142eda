// SPDX-License-Identifier: GPL-2.0
/*
 * loads.c - the administrator's switch: whether new code may be loaded. What is loaded already runs on.
 *
 * The module parameter `loads` and the sysctl wring.loads are the same word: "allowed", "refused", or "locked", which
 * is refused until the module is loaded anew, whoever asks (compare kernel.unprivileged_bpf_disabled).
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysctl.h>
#include <linux/sysfs.h>

#include "os/compat.h"
#include "policy/policy.h"
#include "report.h"

#define WORD_MAX 16

static const char *const wring_loads_words[] = {
	[WRING_LOADS_ALLOWED] = "allowed",
	[WRING_LOADS_REFUSED] = "refused",
	[WRING_LOADS_LOCKED] = "locked",
};

static atomic_t wring_loads = ATOMIC_INIT(WRING_LOADS_ALLOWED);

u32 wring_loads_state(void)
{
	return atomic_read(&wring_loads);
}

int wring_loads_check(struct wring_report *report)
{
	u32 state = wring_loads_state();

	if (state == WRING_LOADS_ALLOWED)
		return 0;
	return wring_report_set(report, -EPERM,
				"the administrator refuses loads (wring.loads = %s)",
				wring_loads_words[state]);
}

/* Whoever loads modules may set the parameter of this one too. */
static int wring_loads_set(const char *word)
{
	int state = sysfs_match_string(wring_loads_words, word);
	int old = wring_loads_state();

	if (state < 0)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_MODULE))
		return -EPERM;
	do {
		if (old == WRING_LOADS_LOCKED && state != WRING_LOADS_LOCKED)
			return -EPERM;
	} while (!atomic_try_cmpxchg(&wring_loads, &old, state));
	return 0;
}

/* ---- the module parameter ---- */

static int wring_loads_param_set(const char *value, const struct kernel_param *param)
{
	return wring_loads_set(value);
}

static int wring_loads_param_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", wring_loads_words[wring_loads_state()]);
}

static const struct kernel_param_ops wring_loads_param = {
	.set = wring_loads_param_set,
	.get = wring_loads_param_get,
};
module_param_cb(loads, &wring_loads_param, NULL, 0644);
MODULE_PARM_DESC(loads,
		 "new programs: allowed, refused, locked (refused until the module is reloaded)");

/* ---- the sysctl ---- */

static int wring_loads_sysctl(WRING_CTL_TABLE *table, int write, void *buffer, size_t *len,
			      loff_t *pos)
{
	struct ctl_table copy = *table;
	char word[WORD_MAX];
	int err;

	strscpy(word, wring_loads_words[wring_loads_state()], sizeof(word));
	copy.data = word;
	copy.maxlen = sizeof(word);
	err = proc_dostring(&copy, write, buffer, len, pos);
	return err || !write ? err : wring_loads_set(word);
}

static struct ctl_table wring_sysctls[] = {
	{
		.procname = "loads",
		.mode = 0644,
		.proc_handler = wring_loads_sysctl,
	},
	WRING_CTL_TABLE_END
};
static struct ctl_table_header *wring_sysctl_header;

int wring_loads_init(void)
{
	wring_sysctl_header = register_sysctl("wring", wring_sysctls);
	return wring_sysctl_header ? 0 : -ENOMEM;
}

void wring_loads_exit(void)
{
	unregister_sysctl_table(wring_sysctl_header);
}
