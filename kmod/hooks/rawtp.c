// SPDX-License-Identifier: GPL-2.0
/*
 * rawtp.c - raw tracepoint programs: probes of a tracepoint, run by the kernel's own eBPF
 * glue.
 *
 * A probe has the prototype of its tracepoint. For each the kernel already has a function that
 * turns the arguments into an array of u64, sizes and signs right and those beyond the sixth found
 * on the stack, and runs an eBPF program on it, guarded against recursion: struct
 * bpf_raw_event_map::bpf_func. It is registered here with a program descriptor whose code is the
 * Wasm program's entry.
 *
 * Against the other way, a stub of type RAW_TRACEPOINT (stub.c): that one is attached by a
 * bpf_link, which ends with its file descriptor and so needs a place in a bpf file system to
 * outlive the loader; and a stub does not say how many arguments its program reads. Here the link
 * is Wring's, lasts until it is detached, and the tracepoint is known: arguments it does not have
 * are never looked at.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/tracepoint.h>

#include "hooks/family.h"
#include "hooks/link.h"
#include "hooks/run.h"
#include "os/compat.h"
#include "os/ksyms.h"
#include "os/os.h"
#include "report.h"
#include "unit/program.h"

struct wring_rawtp_link {
	struct wring_link link;
	char tp_name[WRING_TARGET_LEN];
	struct bpf_raw_event_map *event;	/* referenced: holds the module of the tracepoint */
	struct bpf_prog *prog;			/* describes the entry to the glue */
#if WRING_RAW_TP_RUNS_LINK
	struct bpf_raw_tp_link glue;	/* of which the glue looks at the program and the cookie */
#endif
};

static struct wring_rawtp_link *wring_rawtp_link(const struct wring_link *link)
{
	return container_of(link, struct wring_rawtp_link, link);
}

/*
 * Arguments from wring_vmctx::hook_arg_count on read as 0. The first link sets that number; others
 * may have more arguments, but not fewer. Between links it stays as it is, so that a test run needs
 * no lock.
 */
static int wring_rawtp_set_args(struct wring_program *program, u32 args,
				struct wring_report *report)
{
	/* The one that is being made is counted. */
	if (atomic_read(&program->links) > 1) {
		if (args < program->arg_count)
			return wring_report_set(report, -EINVAL,
						"the program has a link with more arguments");
		return 0;
	}
	wring_program_set_args(program, min_t(u32, args, WRING_MAX_HOOK_ARGS));
	return 0;
}

static struct bpf_prog *wring_rawtp_prog_new(const struct wring_program *program)
{
	struct bpf_prog *prog =
		bpf_prog_alloc(bpf_prog_size(0), __GFP_RETRY_MAYFAIL | __GFP_NOWARN);

	if (!prog)
		return NULL;
	prog->type = BPF_PROG_TYPE_RAW_TRACEPOINT;
	prog->bpf_func = (void *)program->entry;
	prog->jited = 1;
	return prog;
}

/* What the glue is given: the program, or a link to it. */
static void *wring_rawtp_data(struct wring_rawtp_link *tp)
{
#if WRING_RAW_TP_RUNS_LINK
	return &tp->glue;
#else
	return tp->prog;
#endif
}

static void wring_rawtp_release(struct wring_link *link)
{
	struct wring_rawtp_link *tp = wring_rawtp_link(link);

	if (tp->prog)
		wring_k___bpf_prog_free(tp->prog);
	wring_k_bpf_put_raw_tracepoint(tp->event);
}

/* Finds the tracepoint and describes the program to its glue: to be released. */
static int wring_rawtp_find(struct wring_rawtp_link *tp, struct wring_report *report)
{
	tp->event = wring_k_bpf_get_raw_tracepoint(tp->tp_name);
	if (!tp->event)
		return wring_report_set(report, -ENOENT, "no tracepoint \"%s\"", tp->tp_name);
	tp->prog = wring_rawtp_prog_new(tp->link.program);
	if (!tp->prog) {
		wring_rawtp_release(&tp->link);
		return wring_report_set(report, -ENOMEM, "out of memory");
	}
#if WRING_RAW_TP_RUNS_LINK
	tp->glue.link.prog = tp->prog;
#endif
	return 0;
}

/* Whether the program can run at a tracepoint of that name. */
static int wring_rawtp_check(const struct wring_unit *unit, const char *name,
			     struct wring_report *report)
{
	/*
	 * These are hit while the kernel moves a task's registers into or out of the FPU, as nothing else tells:
	 * a program that uses it there would leave its own values in the task.
	 */
	if (wring_code_uses_fpu(unit->code) && strstarts(name, "x86_fpu_"))
		return wring_report_set(report, -EOPNOTSUPP,
					"floats and vectors cannot be used at %s", name);
	/* These, in the middle of taking a lock, which may be a map's. */
	if (unit->takes_locks && (strstarts(name, "contention_") || strstarts(name, "lock_")))
		return wring_report_set(report, -EOPNOTSUPP,
					"maps cannot be updated or deleted from at %s", name);
	return 0;
}

static int wring_rawtp_prepare(struct wring_link *link, const struct wring_link_attach *attach,
			       struct wring_report *report)
{
	struct wring_rawtp_link *tp = wring_rawtp_link(link);

	return wring_link_name_copy(tp->tp_name, attach->rawtp.tp_name, "tp_name", report) ?:
		       wring_rawtp_check(&link->program->unit, tp->tp_name, report);
}

static bool wring_rawtp_is_beside(const struct wring_link *link, const struct wring_link *other)
{
	return !strcmp(wring_rawtp_link(link)->tp_name, wring_rawtp_link(other)->tp_name);
}

static int wring_rawtp_attach(struct wring_link *link, const struct wring_link_attach *attach,
			      struct wring_report *report)
{
	struct wring_rawtp_link *tp = wring_rawtp_link(link);
	int err;

	err = wring_rawtp_find(tp, report);
	if (err)
		return err;
	err = wring_rawtp_set_args(link->program, tp->event->num_args, report);
	if (err)
		goto err_release;
	err = tracepoint_probe_register(tp->event->tp, tp->event->bpf_func, wring_rawtp_data(tp));
	if (err) {
		wring_report_set(report, err, "the tracepoint's probe cannot be registered");
		goto err_release;
	}
	return 0;

err_release:
	wring_rawtp_release(link);
	return err;
}

static void wring_rawtp_detach(struct wring_link *link)
{
	struct wring_rawtp_link *tp = wring_rawtp_link(link);

	WARN_ON_ONCE(tracepoint_probe_unregister(tp->event->tp, tp->event->bpf_func,
						 wring_rawtp_data(tp)));
}

static void wring_rawtp_describe(const struct wring_link *link, struct wring_link_info *info)
{
	strscpy(info->rawtp.tp_name, wring_rawtp_link(link)->tp_name, sizeof(info->rawtp.tp_name));
}

static int wring_rawtp_run(struct wring_program *program, struct wring_prog_run *run,
			   struct wring_report *report)
{
	u64 args[WRING_MAX_HOOK_ARGS] = {};
	int err;

	if (run->data_in_bytes > sizeof(args) || run->data_in_bytes % sizeof(u64))
		return wring_report_set(report, -EINVAL, "data_in: up to %u arguments of 8 bytes",
					WRING_MAX_HOOK_ARGS);
	err = wring_run_copy_in(run, args, report);
	if (err)
		return err;
	if (run->data_out || run->data_out_bytes)
		return wring_report_set(report, -EINVAL, "data_out: there is no packet");
	return wring_run_repeat(program, args, run, report);
}

const struct wring_family_ops wring_rawtp_ops = {
	.bpf_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
	.layout = {
		.pkt_data_offset = -1,
		.pkt_end_offset = -1,
		.args_in_ctx = true,
		.arg_count = WRING_MAX_HOOK_ARGS,
	},
	.skb_offset = -1,
	.link_bytes = sizeof(struct wring_rawtp_link),
	.attach_bytes = sizeof(struct wring_attach_rawtp),
	.prepare = wring_rawtp_prepare,
	.is_beside = wring_rawtp_is_beside,
	.attach = wring_rawtp_attach,
	.detach = wring_rawtp_detach,
	.release = wring_rawtp_release,
	.describe = wring_rawtp_describe,
	.run = wring_rawtp_run,
};
