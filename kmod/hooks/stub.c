// SPDX-License-Identifier: GPL-2.0
/*
 * stub.c - lets a Wasm program stand in for an eBPF program.
 *
 * Userspace loads a stub with bpf(2), `r0 = verdict; exit`, and attaches it wherever programs of
 * its type go: to the kernel and to every tool it is an eBPF program like any other. Every eBPF
 * function begins with a 5-byte NOP (after endbr64 where the kernel uses IBT) that freplace and
 * fentry patch; here it becomes a jump to the entry that was generated with the Wasm program, which
 * has the same C signature and returns to the stub's caller.
 *
 * bpf_arch_text_poke compares what it replaces, under text_mutex, so binding, freplace and
 * fentry/fexit exclude each other: whoever comes second gets -EBUSY, and dst_trampoline,
 * is_extended and ext_mutex need no attention here. Tail calls enter behind the NOP and so run the
 * stub itself, as does everyone once it is unbound.
 */
#include <linux/bpf.h>
#include <linux/filter.h>

#include "hooks/family.h"
#include "hooks/stub.h"
#include "os/ksyms.h"
#include "report.h"
#include "unit/program.h"

/* `r0 = imm; exit`, 32 or 64 bits wide, with a verdict of the family. */
static bool wring_stub_is_trivial(const struct bpf_prog *prog, const struct wring_family *family)
{
	const struct bpf_insn *insn = prog->insnsi;
	u32 verdict;

	/*
	 * Constant blinding has rewritten the instructions; what is left to say is that there are
	 * few.
	 */
	if (prog->blinded)
		return prog->len <= 4;
	if (prog->len != 2 || insn[1].code != (BPF_JMP | BPF_EXIT))
		return false;
	if ((insn[0].code != (BPF_ALU64 | BPF_MOV | BPF_K) &&
	     insn[0].code != (BPF_ALU | BPF_MOV | BPF_K)) ||
	    insn[0].dst_reg != BPF_REG_0)
		return false;
	verdict = insn[0].imm;
	return verdict >= family->verdict_min && verdict <= family->verdict_max;
}

/* 0 if the eBPF program can be bound. */
static int wring_stub_check(const struct bpf_prog *stub, const struct wring_family *family,
			    struct wring_report *report)
{
	if (!stub->jited)
		return wring_report_set(report, -EOPNOTSUPP,
					"the stub was not compiled (net.core.bpf_jit_enable is 0)");
	if (!wring_stub_is_trivial(stub, family))
		return wring_report_set(report, -EINVAL,
					"the eBPF program is not a stub (r0 = verdict; exit)");
	return 0;
}

struct bpf_prog *wring_stub_bind(struct wring_program *program, int fd, struct wring_report *report)
{
	const struct wring_family *family = program->unit.family;
	struct bpf_prog *stub;
	int err;

	stub = bpf_prog_get_type_dev(fd, family->ops->bpf_type, false);
	if (IS_ERR(stub)) {
		wring_report_set(report, PTR_ERR(stub), "stub_fd is not an eBPF program of type %s",
				 family->name);
		return stub;
	}
	err = wring_stub_check(stub, family, report);
	if (err)
		goto err_put;
	err = wring_k_bpf_arch_text_poke(stub->bpf_func, BPF_MOD_JUMP, NULL, program->entry);
	if (err) {
		wring_report_set(report, err,
				 err == -EBUSY ? "the stub is bound, traced or extended already" :
						 "the stub cannot be patched");
		goto err_put;
	}
	return stub;

err_put:
	bpf_prog_put(stub);
	return ERR_PTR(err);
}

void wring_stub_unbind(struct bpf_prog *stub, struct wring_program *program)
{
	/* Nobody else can have changed what binding put there, see above. */
	WARN_ON_ONCE(wring_k_bpf_arch_text_poke(stub->bpf_func, BPF_MOD_JUMP, program->entry,
						NULL));
}

/*
 * A program looked up by its id in this very moment is merely one that answers the stub's own
 * verdict.
 */
bool wring_stub_is_abandoned(const struct bpf_prog *stub)
{
	return atomic64_read(&stub->aux->refcnt) == 1;
}
