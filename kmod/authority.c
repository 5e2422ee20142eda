// SPDX-License-Identifier: GPL-2.0
/*
 * authority.c - who may do what, and who is told of it: every rule that commands ask, after the rule of bpf(2) that it
 * mirrors.
 *
 * Capabilities are the calling task's, in the initial user namespace, whoever opened the file that a command is issued
 * on: an fd that was passed on carries no capabilities. CAP_SYS_ADMIN stands for CAP_BPF, CAP_NET_ADMIN and
 * CAP_PERFMON, as it does for bpf(2).
 */
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/cpu.h>
#include <linux/cred.h>
#include <linux/preempt.h>
#include <linux/security.h>

#include "ksyms.h"
#include "wring.h"

static bool wring_capable(int capability)
{
	return capable(capability) || capable(CAP_SYS_ADMIN);
}

/* ---- capabilities ---- */

/**
 * wring_may_use - whether /dev/wring is open to the caller at all
 *
 * As bpf(2) with kernel.unprivileged_bpf_disabled: CAP_BPF, or nothing.
 *
 * Context: process context.
 */
bool wring_may_use(void)
{
	return bpf_capable();
}

/**
 * wring_may_attach - whether the caller may attach programs to a kind of hook, and detach those it holds
 * @hook: the kind; NULL (no hook) needs nothing
 * @report: filled in on failure
 *
 * As whatever attaches eBPF programs there: CAP_NET_ADMIN for XDP by netlink and for netfilter links (BPF_LINK_CREATE),
 * CAP_PERFMON for tracing.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_attach(const struct wring_hook_type *hook, struct wring_report *report)
{
	if (!hook || wring_capable(hook->capability))
		return 0;
	return wring_report_set(report, -EPERM, "%s programs need %s", hook->name,
				hook->capability == CAP_NET_ADMIN ? "CAP_NET_ADMIN" :
								    "CAP_PERFMON");
}

/**
 * wring_may_run - whether the caller may run, by hand, code that it holds by an fd, or let go of it for everybody
 * @hook: what the program was loaded for, or NULL
 * @report: filled in on failure
 *
 * What loading it needs. BPF_PROG_TEST_RUN asks for less where a program is one that the unprivileged may load; we
 * have none such.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_run(const struct wring_hook_type *hook, struct wring_report *report)
{
	if (!bpf_capable())
		return wring_report_set(report, -EPERM, "CAP_BPF is needed");
	return wring_may_attach(hook, report);
}

/**
 * wring_may_load - whether the caller may bring code into the kernel, now
 * @hook: what the program is for, or NULL
 * @report: filled in on failure
 *
 * As BPF_PROG_LOAD: CAP_BPF, with CAP_NET_ADMIN (is_net_admin_prog_type) or CAP_PERFMON (is_perfmon_prog_type). And the
 * administrator allows it (loads.c), which root cannot overrule either.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_load(const struct wring_hook_type *hook, struct wring_report *report)
{
	return wring_loads_check(report) ?: wring_may_run(hook, report);
}

/**
 * wring_may_speculate - whether code that the caller loads may run past its bounds checks speculatively
 *
 * As bpf_bypass_spec_v1 and bpf_bypass_spec_v4: who may read kernel memory anyway gets code without clamps, and so does
 * everybody where the administrator wants no mitigations.
 *
 * Context: process context.
 */
bool wring_may_speculate(void)
{
	return wring_capable(CAP_PERFMON) || cpu_mitigations_off();
}

/**
 * wring_may_look_up - whether the caller may get at what others have loaded and attached, by id
 * @report: filled in on failure
 *
 * As BPF_PROG_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID: CAP_SYS_ADMIN. Whoever
 * holds a program by its fd needs none of these.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_look_up(struct wring_report *report)
{
	if (capable(CAP_SYS_ADMIN))
		return 0;
	return wring_report_set(report, -EPERM,
				"without an fd of the program this needs CAP_SYS_ADMIN");
}

/**
 * wring_may_detach - whether the caller may detach a link
 * @held: the link's program, of which the caller has an fd; NULL: the link is given by its id alone
 * @report: filled in on failure
 *
 * As BPF_LINK_DETACH, for which one holds the link by an fd or gets one by id; and, as netlink for XDP, only for
 * whoever could attach it.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_detach(const struct wring_program *held, struct wring_report *report)
{
	return held ? wring_may_attach(held->hook, report) : wring_may_look_up(report);
}

/**
 * wring_may_see_addresses - whether the caller may be told where code lies
 *
 * As the kernel's own addresses (bpf_dump_raw_ok, kptr_restrict).
 *
 * Context: process context.
 */
bool wring_may_see_addresses(void)
{
	return wring_k_kallsyms_show_value(current_cred());
}

/**
 * wring_may_read_code - whether the caller may read the machine code of a program that it holds by an fd
 *
 * More than BPF_OBJ_GET_INFO_BY_FD asks (CAP_BPF and bpf_dump_raw_ok): blinded constants and addresses are all in it.
 *
 * Context: process context.
 * Return: 0 or -EPERM.
 */
int wring_may_read_code(void)
{
	return capable(CAP_SYS_ADMIN) && wring_may_see_addresses() ? 0 : -EPERM;
}

/**
 * wring_may_import - whether lockdown leaves a host function to guests
 * @function: with what it reaches beyond the guest
 *
 * As bpf_base_func_proto and bpf_tracing_func_proto, which hide helpers that read kernel memory or write to the user's
 * while the kernel is locked down (LOCKDOWN_BPF_READ_KERNEL, LOCKDOWN_BPF_WRITE_USER).
 *
 * Context: process context, may sleep.
 * Return: 0 or -EPERM.
 */
int wring_may_import(const struct wring_host_function *function)
{
	return function->reach == LOCKDOWN_NONE ? 0 : security_locked_down(function->reach);
}

/* ---- security modules ---- */

/* What comes nearest in eBPF. */
static enum bpf_prog_type wring_bpf_type(u32 type)
{
	switch (type) {
	case WRING_PROG_XDP: return BPF_PROG_TYPE_XDP;
	case WRING_PROG_RAW_TRACEPOINT: return BPF_PROG_TYPE_RAW_TRACEPOINT;
	case WRING_PROG_NETFILTER: return WRING_BPF_TYPE_NETFILTER;
	default: return BPF_PROG_TYPE_SYSCALL;
	}
}

/* Where the user has the licence that the module states, or 0: as BPF_PROG_LOAD's, a string in the user's memory. */
static u64 wring_license_address(const struct wring_module *module, u64 user)
{
	struct wring_str bytes = wring_module_bytes(module), text;

	if (wring_module_custom(module, "wring.license", 0, &text) || !text.len ||
	    text.data[text.len - 1])
		return 0;
	return user + (text.data - bytes.data);
}

/**
 * wring_lsm_load - ask security modules whether they let a load pass
 * @type: enum wring_prog_type
 * @name: the program's
 * @module: decoded
 * @user: where in the caller's memory the module was copied from
 * @report: filled in on failure
 *
 * As bpf(2), which calls security_bpf with what it was given. They see BPF_PROG_LOAD without instructions.
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno, the security module's.
 */
int wring_lsm_load(u32 type, const char *name, const struct wring_module *module, u64 user,
		   struct wring_report *report)
{
	int err = 0;
#ifdef CONFIG_SECURITY
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = wring_bpf_type(type);
	attr.license = wring_license_address(module, user);
	strscpy(attr.prog_name, name, sizeof(attr.prog_name));
	err = wring_k_security_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (err)
		wring_report_set(report, err, "a security module refuses the load");
#endif
	return err;
}

/* ---- audit ---- */

/**
 * wring_audit - leave a record that code came or went
 * @id: the program's; 0: a plain instance
 * @tag: of its binary
 * @op: what happened to it: "LOAD" or "UNLOAD"
 *
 * As bpf_audit_prog, of the same type: AUDIT_BPF, with the record of the system call if there is one.
 *
 * Context: any but NMI.
 */
void wring_audit(u32 id, const u8 tag[8], const char *op)
{
	bool is_callers = in_task() && !irqs_disabled();
	struct audit_buffer *record;

	if (audit_enabled == AUDIT_OFF)
		return;
	record = audit_log_start(is_callers ? audit_context() : NULL, GFP_ATOMIC, AUDIT_BPF);
	if (!record)
		return;
	if (id)
		audit_log_format(record, "wring-prog-id=%u tag=%8phN op=%s", id, tag, op);
	else
		audit_log_format(record, "wring-instance tag=%8phN op=%s", tag, op);
	audit_log_end(record);
}
