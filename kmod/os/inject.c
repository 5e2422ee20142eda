// SPDX-License-Identifier: GPL-2.0
/*
 * inject.c - fault injection, in modules built for it (WRING_INJECT) alone: makes one of the engine's assertions fail.
 *
 * "STAGE N" written to /sys/module/wring/parameters/inject makes the N-th assertion fail (0: none) that the writing
 * task evaluates in that stage (enum Stage of core/base/inject.h) from then on. Read, the file holds how many it has
 * evaluated in each. One task at a time is served; what interrupts it is left alone.
 */
#ifdef WRING_INJECT

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#define STAGES 8

int wring_inject_assertion(void);
unsigned int wring_inject_stage(unsigned int stage);

static struct task_struct *wring_inject_task;	/* only compared */
static unsigned int wring_inject_current, wring_inject_fail_stage;
static u64 wring_inject_fail_at, wring_inject_counts[STAGES];

static bool wring_inject_concerned(void)
{
	return current == READ_ONCE(wring_inject_task) && !in_nmi() && !in_hardirq() &&
	       !in_serving_softirq();
}

int wring_inject_assertion(void)
{
	unsigned int stage = wring_inject_current;

	return wring_inject_concerned() &&
	       ++wring_inject_counts[stage] == wring_inject_fail_at &&
	       stage == wring_inject_fail_stage;
}

unsigned int wring_inject_stage(unsigned int stage)
{
	unsigned int before = wring_inject_current;

	if (!wring_inject_concerned())
		return 0;
	wring_inject_current = stage;
	return before;
}

static int wring_inject_set(const char *text, const struct kernel_param *param)
{
	unsigned int stage;
	u64 n;

	if (sscanf(text, "%u %llu", &stage, &n) != 2 || stage >= STAGES)
		return -EINVAL;
	WRITE_ONCE(wring_inject_task, NULL);
	memset(wring_inject_counts, 0, sizeof(wring_inject_counts));
	wring_inject_current = 0;
	wring_inject_fail_stage = stage;
	wring_inject_fail_at = n;
	WRITE_ONCE(wring_inject_task, current);
	return 0;
}

static int wring_inject_get(char *text, const struct kernel_param *param)
{
	int used = 0, i;

	for (i = 0; i < STAGES; i++)
		used += scnprintf(text + used, PAGE_SIZE - used, "%llu%c", wring_inject_counts[i],
				  i + 1 < STAGES ? ' ' : '\n');
	return used;
}

static const struct kernel_param_ops wring_inject_ops = {
	.set = wring_inject_set,
	.get = wring_inject_get,
};
module_param_cb(inject, &wring_inject_ops, NULL, 0600);

#endif
