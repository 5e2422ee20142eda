// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - the module's life: what is set up in which order, and torn down in the reverse one.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "device/device.h"
#include "hooks/aftermath.h"
#include "hooks/link.h"
#include "hooks/stack.h"
#include "mem/mem.h"
#include "os/ksyms.h"
#include "os/os.h"
#include "policy/policy.h"
#include "unit/program.h"

struct workqueue_struct *wring_wq;

/* Programs are freed after a grace period, and their text, found unused then, after another. */
static void wring_deferred_drain(void)
{
	int round;

	for (round = 0; round < 2; round++) {
		wring_aftermath_flush();
		rcu_barrier();
		flush_workqueue(wring_wq);
	}
}

static int __init wring_init(void)
{
	int err;

	wring_recovery_init();
	err = wring_target_check();
	if (err)
		return err;
	err = wring_ksyms_init();
	if (err)
		return err;
	wring_wq = alloc_workqueue("wring", WQ_UNBOUND, 0);
	if (!wring_wq)
		return -ENOMEM;
	wring_wait_init();
	err = wring_aftermath_setup();
	if (err)
		goto err_wq;
	err = wring_link_init();
	if (err)
		goto err_aftermath;
	err = wring_loads_init();
	if (err)
		goto err_link;
	err = wring_device_init();
	if (err)
		goto err_loads;
	return 0;

err_loads:
	wring_loads_exit();
err_link:
	wring_link_exit();
err_aftermath:
	wring_aftermath_teardown();
err_wq:
	destroy_workqueue(wring_wq);
	return err;
}

static void __exit wring_exit(void)
{
	wring_device_exit();
	wring_loads_exit();
	wring_program_exit();
	wring_deferred_drain();
	wring_link_exit();
	wring_aftermath_teardown();
	wring_hook_stacks_exit();
	wring_memory_exit();
	destroy_workqueue(wring_wq);
}

module_init(wring_init);
module_exit(wring_exit);

MODULE_DESCRIPTION("WebAssembly in ring 0");
MODULE_VERSION(WRING_VERSION);
MODULE_LICENSE("GPL");
