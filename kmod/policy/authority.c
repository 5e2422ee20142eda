// SPDX-License-Identifier: GPL-2.0
/*
 * authority.c - who may do what, and who is told of it: every rule that commands ask, after the rule of bpf(2) that it
 * mirrors.
 */
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/cpu.h>
#include <linux/cred.h>
#include <linux/preempt.h>
#include <linux/security.h>

#include "hooks/family.h"
#include "os/ksyms.h"
#include "policy/policy.h"
#include "report.h"

static bool wring_capable(int capability)
{
	return capable(capability) || capable(CAP_SYS_ADMIN);
}

/* ---- capabilities ---- */

/* As bpf(2) with kernel.unprivileged_bpf_disabled: CAP_BPF, or nothing. */
bool wring_may_use(void)
{
	return bpf_capable();
}

/*
 * As whatever attaches eBPF programs there: CAP_NET_ADMIN for XDP by netlink and for netfilter links (BPF_LINK_CREATE),
 * CAP_PERFMON for tracing.
 */
int wring_may_attach(const struct wring_family *family, struct wring_report *report)
{
	if (!family || wring_capable(family->capability))
		return 0;
	return wring_report_set(report, -EPERM, "%s programs need %s", family->name,
				family->capability == CAP_NET_ADMIN ? "CAP_NET_ADMIN" :
								    "CAP_PERFMON");
}

/*
 * What loading it needs. BPF_PROG_TEST_RUN asks for less where a program is one that the unprivileged may load; we
 * have none such.
 */
int wring_may_run(const struct wring_family *family, struct wring_report *report)
{
	if (!bpf_capable())
		return wring_report_set(report, -EPERM, "CAP_BPF is needed");
	return wring_may_attach(family, report);
}

/*
 * As BPF_PROG_LOAD: CAP_BPF, with CAP_NET_ADMIN (is_net_admin_prog_type) or CAP_PERFMON (is_perfmon_prog_type). And the
 * administrator allows it (loads.c), which root cannot overrule either.
 */
int wring_may_load(const struct wring_family *family, struct wring_report *report)
{
	return wring_loads_check(report) ?: wring_may_run(family, report);
}

/*
 * As bpf_bypass_spec_v1 and bpf_bypass_spec_v4: who may read kernel memory anyway gets code without clamps, and so does
 * everybody where the administrator wants no mitigations.
 */
bool wring_may_speculate(void)
{
	return wring_capable(CAP_PERFMON) || cpu_mitigations_off();
}

/*
 * As BPF_PROG_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID: CAP_SYS_ADMIN. Whoever
 * holds a program by its fd needs none of these.
 */
int wring_may_look_up(struct wring_report *report)
{
	if (capable(CAP_SYS_ADMIN))
		return 0;
	return wring_report_set(report, -EPERM,
				"without an fd of the program this needs CAP_SYS_ADMIN");
}

/* As the kernel's own addresses (bpf_dump_raw_ok, kptr_restrict). */
bool wring_may_see_addresses(void)
{
	return wring_k_kallsyms_show_value(current_cred());
}

/*
 * More than BPF_OBJ_GET_INFO_BY_FD asks (CAP_BPF and bpf_dump_raw_ok): blinded constants and addresses are all in it.
 */
int wring_may_read_code(void)
{
	return capable(CAP_SYS_ADMIN) && wring_may_see_addresses() ? 0 : -EPERM;
}

/*
 * As bpf_base_func_proto and bpf_tracing_func_proto, which hide helpers that read kernel memory or write to the user's
 * while the kernel is locked down (LOCKDOWN_BPF_READ_KERNEL, LOCKDOWN_BPF_WRITE_USER).
 */
int wring_may_reach(enum lockdown_reason reach)
{
	return reach == LOCKDOWN_NONE ? 0 : security_locked_down(reach);
}

/* ---- security modules ---- */

/* Where the user has the licence that the module states, or 0: as BPF_PROG_LOAD's, a string in the user's memory. */
static u64 wring_license_address(const struct wring_module *module, u64 user)
{
	struct wring_str bytes = wring_module_bytes(module), text;

	if (wring_module_custom(module, "wring.license", 0, &text) || !text.len ||
	    text.data[text.len - 1])
		return 0;
	return user + (text.data - bytes.data);
}

/* As bpf(2), which calls security_bpf with what it was given. They see BPF_PROG_LOAD without instructions. */
int wring_lsm_load(const struct wring_family *family, const char *name,
		   const struct wring_module *module, u64 user, struct wring_report *report)
{
	int err = 0;
#ifdef CONFIG_SECURITY
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	/* What comes nearest in eBPF. */
	attr.prog_type = family ? family->ops->bpf_type : BPF_PROG_TYPE_SYSCALL;
	attr.license = wring_license_address(module, user);
	strscpy(attr.prog_name, name, sizeof(attr.prog_name));
	err = wring_k_security_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (err)
		wring_report_set(report, err, "a security module refuses the load");
#endif
	return err;
}

/* ---- audit ---- */

/* As bpf_audit_prog, of the same type: AUDIT_BPF, with the record of the system call if there is one. */
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
