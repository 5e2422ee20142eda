// SPDX-License-Identifier: GPL-2.0
/*
 * hook_stub.c - lets a Wasm program stand in for an eBPF program.
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

#include "hook.h"
#include "ksyms.h"

/* `r0 = imm; exit`, 32 or 64 bits wide, with a verdict of the hook. */
static bool wring_stub_is_trivial(const struct bpf_prog *prog, const struct wring_hook_type *type)
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
	return verdict >= type->verdict_min && verdict <= type->verdict_max;
}

/**
 * wring_stub_get - take the eBPF stub a link is to use
 * @link: gets the stub, with a reference
 * @attach: with the stub's fd
 * @type: of eBPF program it must be
 * @report: filled in on failure
 *
 * Context: may sleep.
 * Return: 0; -EBADF or -EINVAL if the fd is not that of a stub of this type, -EOPNOTSUPP if it was
 * not compiled.
 */
int wring_stub_get(struct wring_link *link, const struct wring_link_attach *attach,
		   enum bpf_prog_type type, struct wring_report *report)
{
	const struct wring_hook_type *hook = &link->hook->type;
	struct bpf_prog *stub;
	int err = 0;

	stub = bpf_prog_get_type_dev(attach->stub_fd, type, false);
	if (IS_ERR(stub))
		return wring_report_set(report, PTR_ERR(stub),
					"stub_fd is not an eBPF program of type %s", hook->name);
	if (!stub->jited)
		err = wring_report_set(report, -EOPNOTSUPP,
				       "the stub was not compiled (net.core.bpf_jit_enable is 0)");
	else if (!wring_stub_is_trivial(stub, hook))
		err = wring_report_set(report, -EINVAL,
				       "the eBPF program is not a stub (r0 = verdict; exit)");
	if (err)
		bpf_prog_put(stub);
	else
		link->stub = stub;
	return err;
}

/**
 * wring_stub_put - undo wring_stub_get
 * @link: not bound
 *
 * Context: may sleep.
 */
void wring_stub_put(struct wring_link *link)
{
	bpf_prog_put(link->stub);
	link->stub = NULL;
}

/**
 * wring_stub_bind - make a link's stub run its program
 * @link: with the stub
 * @report: filled in on failure
 *
 * Context: may sleep.
 * Return: 0, or -EBUSY if the stub is bound, traced or extended already.
 */
int wring_stub_bind(struct wring_link *link, struct wring_report *report)
{
	int err = wring_k_bpf_arch_text_poke(link->stub->bpf_func, BPF_MOD_JUMP, NULL,
					     link->program->entry);

	if (err)
		return wring_report_set(report, err,
					err == -EBUSY ?
						"the stub is bound, traced or extended already" :
						"the stub cannot be patched");
	return 0;
}

/**
 * wring_stub_unbind - undo wring_stub_bind
 * @link: bound
 *
 * Invocations that have begun may still run the program: an RCU grace period ends them.
 *
 * Context: may sleep.
 */
void wring_stub_unbind(struct wring_link *link)
{
	/* Nobody else can have changed what binding put there, see above. */
	WARN_ON_ONCE(wring_k_bpf_arch_text_poke(link->stub->bpf_func, BPF_MOD_JUMP,
						link->program->entry, NULL));
}

/**
 * wring_stub_abandoned - whether nothing but the link holds the stub
 * @link: bound
 *
 * A program looked up by its id in this very moment is merely one that answers the stub's own
 * verdict.
 *
 * Context: any.
 */
bool wring_stub_abandoned(const struct wring_link *link)
{
	return atomic64_read(&link->stub->aux->refcnt) == 1;
}
