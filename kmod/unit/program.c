// SPDX-License-Identifier: GPL-2.0
/*
 * program.c - the registry of loaded programs: ids and references.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "os/os.h"
#include "policy/policy.h"
#include "report.h"
#include "unit/program.h"

static DEFINE_MUTEX(wring_program_lock);
/* Under the lock. A program stays in it until it is freed, so one found there may have no references left. */
static DEFINE_IDR(wring_programs);
static u32 wring_programs_loaded;

/* ---- references ---- */

static void wring_program_free_work(struct work_struct *work)
{
	struct wring_program *program =
		container_of(to_rcu_work(work), struct wring_program, free_work);

	mutex_lock(&wring_program_lock);
	idr_remove(&wring_programs, program->unit.id);
	wring_programs_loaded--;
	mutex_unlock(&wring_program_lock);
	program->destroy(program);
}

void wring_program_put(struct wring_program *program)
{
	if (!refcount_dec_and_test(&program->refs))
		return;
	wring_audit(program->unit.id, program->unit.tag, "UNLOAD");
	INIT_RCU_WORK(&program->free_work, wring_program_free_work);
	queue_rcu_work(wring_wq, &program->free_work);
}

int wring_program_link(struct wring_program *program)
{
	if (!try_module_get(THIS_MODULE))
		return -EBUSY;
	wring_program_get(program);
	atomic_inc(&program->links);
	return 0;
}

void wring_program_unlink(struct wring_program *program)
{
	atomic_dec(&program->links);
	wring_program_put(program);
	module_put(THIS_MODULE);
}

/* ---- the registry ---- */

int wring_program_register(struct wring_program *program, struct wring_report *report)
{
	int id;

	mutex_lock(&wring_program_lock);
	id = idr_alloc_cyclic(&wring_programs, program, 1, 0, WRING_GFP);
	if (id > 0) {
		program->unit.id = id;
		wring_programs_loaded++;
	}
	mutex_unlock(&wring_program_lock);
	return id > 0 ? 0 : wring_report_set(report, id, "no id for the program");
}

struct wring_program *wring_program_find(u32 id)
{
	struct wring_program *program;

	if (id > INT_MAX)
		return NULL;
	mutex_lock(&wring_program_lock);
	program = idr_find(&wring_programs, id);
	if (program && !refcount_inc_not_zero(&program->refs))
		program = NULL;
	mutex_unlock(&wring_program_lock);
	return program;
}

int wring_program_next(u32 id, u32 *next)
{
	const struct wring_program *program;
	int at, err = -ENOENT;

	mutex_lock(&wring_program_lock);
	for (at = id; (program = idr_get_next(&wring_programs, &at)); at++) {
		if (refcount_read(&program->refs)) {
			*next = at;
			err = 0;
			break;
		}
	}
	mutex_unlock(&wring_program_lock);
	return err;
}

void wring_program_keep(struct wring_program *program)
{
	mutex_lock(&wring_program_lock);
	program->keep = true;
	wring_program_get(program);
	mutex_unlock(&wring_program_lock);
}

int wring_program_unkeep(struct wring_program *program, bool unless_linked)
{
	bool kept = false;
	int err = 0;

	mutex_lock(&wring_program_lock);
	if (unless_linked && atomic_read(&program->links)) {
		err = -EBUSY;
	} else {
		kept = program->keep;
		program->keep = false;
	}
	mutex_unlock(&wring_program_lock);
	if (kept)
		wring_program_put(program);
	return err;
}

u32 wring_program_count(void)
{
	return READ_ONCE(wring_programs_loaded);
}

void wring_program_exit(void)
{
	struct wring_program *program;
	int id;

	mutex_lock(&wring_program_lock);
	idr_for_each_entry(&wring_programs, program, id) {
		if (program->keep) {
			program->keep = false;
			wring_program_put(program);
		}
	}
	mutex_unlock(&wring_program_lock);
}
