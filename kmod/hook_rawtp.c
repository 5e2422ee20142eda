// SPDX-License-Identifier: GPL-2.0
/*
 * hook_rawtp.c - raw tracepoint programs: probes of a tracepoint, run by the kernel's own eBPF
 * glue.
 *
 * A probe has the prototype of its tracepoint. For each the kernel already has a function that
 * turns the arguments into an array of u64, sizes and signs right and those beyond the sixth found
 * on the stack, and runs an eBPF program on it, guarded against recursion: struct
 * bpf_raw_event_map::bpf_func. It is registered here with a program descriptor whose code is the
 * Wasm program's entry.
 *
 * Against the other way, a stub of type RAW_TRACEPOINT (hook_stub.c): that one is attached by a
 * bpf_link, which ends with its file descriptor and so needs a place in a bpf file system to
 * outlive the loader; and a stub does not say how many arguments its program reads. Here the link
 * is Wring's, lasts until it is detached, and the tracepoint is known: arguments it does not have
 * are never looked at.
 */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "hook.h"
#include "ksyms.h"
#include "wring.h"

/* What a link has registered. */
struct wring_rawtp_probe {
	struct bpf_raw_event_map *event;	/* referenced: holds the module of the tracepoint */
	struct bpf_prog *prog;			/* describes the entry to the glue */
#if WRING_RAW_TP_RUNS_LINK
	struct bpf_raw_tp_link link; /* of which the glue looks at the program and the cookie */
#endif
};

/* wring_link_for_each: counts the links of a program. */
struct wring_rawtp_count {
	const struct wring_program *program;
	u32 links;
};

static void wring_rawtp_count_link(struct wring_link *link, void *arg)
{
	struct wring_rawtp_count *count = arg;

	count->links += link->program == count->program;
}

static u32 wring_rawtp_links(const struct wring_program *program)
{
	struct wring_rawtp_count count = { .program = program };

	wring_link_for_each(&wring_hook_rawtp, wring_rawtp_count_link, &count);
	return count.links;
}

/*
 * Arguments from wring_vmctx::hook_arg_count on read as 0. The first link sets that number; others
 * may have more arguments, but not fewer. Between links it stays as it is, so that a test run needs
 * no lock.
 */
static int wring_rawtp_set_args(struct wring_program *program, u32 args,
				struct wring_report *report)
{
	if (wring_rawtp_links(program)) {
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
static void *wring_rawtp_data(struct wring_rawtp_probe *probe)
{
#if WRING_RAW_TP_RUNS_LINK
	return &probe->link;
#else
	return probe->prog;
#endif
}

static void wring_rawtp_probe_free(struct wring_rawtp_probe *probe)
{
	if (probe->prog)
		wring_k___bpf_prog_free(probe->prog);
	wring_k_bpf_put_raw_tracepoint(probe->event);
	kfree(probe);
}

static struct wring_rawtp_probe *wring_rawtp_probe_new(const struct wring_link *link,
						       struct wring_report *report)
{
	struct wring_rawtp_probe *probe = kzalloc(sizeof(*probe), WRING_GFP);

	if (!probe) {
		wring_report_set(report, -ENOMEM, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	probe->event = wring_k_bpf_get_raw_tracepoint(link->target);
	if (!probe->event) {
		kfree(probe);
		wring_report_set(report, -ENOENT, "no tracepoint \"%s\"", link->target);
		return ERR_PTR(-ENOENT);
	}
	probe->prog = wring_rawtp_prog_new(link->program);
	if (!probe->prog) {
		wring_rawtp_probe_free(probe);
		wring_report_set(report, -ENOMEM, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
#if WRING_RAW_TP_RUNS_LINK
	probe->link.link.prog = probe->prog;
#endif
	return probe;
}

static int wring_rawtp_attach(struct wring_link *link, const struct wring_link_attach *attach,
			      struct wring_report *report)
{
	struct wring_rawtp_probe *probe;
	int err;

	if (attach->stub_fd != -1 || attach->ifindex || attach->pf || attach->hooknum ||
	    attach->priority)
		return wring_report_set(report, -EINVAL,
					"stub_fd, ifindex, pf, hooknum or priority given");
	/*
	 * These are hit while the kernel moves a task's registers into or out of the FPU, as nothing else tells:
	 * a program that uses it there would leave its own values in the task.
	 */
	if (wring_code_uses_fpu(link->program->code) && strstarts(link->target, "x86_fpu_"))
		return wring_report_set(report, -EOPNOTSUPP,
					"floats and vectors cannot be used at %s", link->target);
	probe = wring_rawtp_probe_new(link, report);
	if (IS_ERR(probe))
		return PTR_ERR(probe);
	err = wring_rawtp_set_args(link->program, probe->event->num_args, report);
	if (err)
		goto err_free;
	err = tracepoint_probe_register(probe->event->tp, probe->event->bpf_func,
					wring_rawtp_data(probe));
	if (err) {
		wring_report_set(report, err, "the tracepoint's probe cannot be registered");
		goto err_free;
	}
	link->probe = probe;
	return 0;

err_free:
	wring_rawtp_probe_free(probe);
	return err;
}

static void wring_rawtp_detach(struct wring_link *link)
{
	struct wring_rawtp_probe *probe = link->probe;

	WARN_ON_ONCE(tracepoint_probe_unregister(probe->event->tp, probe->event->bpf_func,
						 wring_rawtp_data(probe)));
	/* Probes may still be running, and some run outside of RCU proper. */
	tracepoint_synchronize_unregister();
	wring_rawtp_probe_free(probe);
	link->probe = NULL;
}

static int wring_rawtp_run(struct wring_program *program, struct wring_prog_run *run,
			   struct wring_report *report)
{
	u64 args[WRING_MAX_HOOK_ARGS] = {};

	if (run->data_in_bytes > sizeof(args) || run->data_in_bytes % sizeof(u64))
		return wring_report_set(report, -EINVAL, "data_in: up to %u arguments of 8 bytes",
					WRING_MAX_HOOK_ARGS);
	if (copy_from_user(args, u64_to_user_ptr(run->data_in), run->data_in_bytes))
		return wring_report_set(report, -EFAULT, "data_in cannot be read");
	if (run->data_out || run->data_out_bytes)
		return wring_report_set(report, -EINVAL, "data_out: there is no packet");
	return wring_run_repeat(program, args, run, report);
}

const struct wring_hook wring_hook_rawtp = {
	.type = {
		.type = WRING_PROG_RAW_TRACEPOINT,
		.name = "raw_tracepoint",
		.capability = CAP_PERFMON,
		.default_verdict = 0,
		.verdict_min = 0,
		.verdict_max = U32_MAX,		/* nobody looks at it */
		.pkt_data_offset = -1,
		.pkt_end_offset = -1,
		.args_in_ctx = true,
		.arg_count = WRING_MAX_HOOK_ARGS,
		.may_nest = true,
		.run = wring_rawtp_run,
	},
	.attach = wring_rawtp_attach,
	.detach = wring_rawtp_detach,
};
