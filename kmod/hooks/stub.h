/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stub.h - programs that stand in for an eBPF program, which a family's link holds. May sleep, unless said otherwise.
 */
#ifndef WRING_HOOKS_STUB_H
#define WRING_HOOKS_STUB_H

#include <linux/bpf.h>

struct wring_program;
struct wring_report;

/*
 * Takes the eBPF program of an fd, if it is a stub that answers a verdict of the program's family, and makes it run the
 * program. The stub, referenced, or an ERR_PTR with the report filled in: -EBADF or -EINVAL if the fd is not that of a
 * stub of the family's type, -EOPNOTSUPP if it was not compiled, -EBUSY if it is bound, traced or extended already.
 */
struct bpf_prog *wring_stub_bind(struct wring_program *program, int fd,
				 struct wring_report *report);
/* Gives the stub its own code back. Invocations that have begun may still run the program. */
void wring_stub_unbind(struct bpf_prog *stub, struct wring_program *program);
/* Whether nobody but the link holds the stub any more: nothing can run it. Any context. */
bool wring_stub_is_abandoned(const struct bpf_prog *stub);

#endif /* WRING_HOOKS_STUB_H */
