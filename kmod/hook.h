/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hook.h - what the hook types share: links, their operations, and running a hook on given input.
 */
#ifndef WRING_HOOK_H
#define WRING_HOOK_H

#include <linux/netfilter.h>
#include <linux/types.h>

#include "program.h"

struct bpf_prog;
struct net;
struct wring_rawtp_probe;

/* A program attached to a hook. Constant while it exists, except where it is made. */
struct wring_link {
	u32 id;
	struct wring_program *program;	/* counted with wring_program_link */
	const struct wring_hook *hook;
	struct bpf_prog *stub; /* referenced; hooks that stand in for an eBPF program, else NULL */
	struct wring_rawtp_probe *probe; /* raw tracepoints */
	struct net *net;		/* netfilter: not referenced, the link goes with it */
	struct nf_hook_ops nf_ops;	/* netfilter */
	bool nf_writes;			/* netfilter: the program imports packet stores */
	u32 ifindex;
	char target[WRING_TARGET_LEN];
	struct list_head dead;		/* while it is being freed */
};

/*
 * A type of hook. Constant. Links are created and destroyed with the lock of hook.c held; callbacks
 * may sleep.
 */
struct wring_hook {
	struct wring_hook_type type;
	/*
	 * Checks the request and makes the hook run link->program. 0, or a negative errno with the
	 * report filled in and nothing left to undo.
	 */
	int (*attach)(struct wring_link *link, const struct wring_link_attach *attach,
		      struct wring_report *report);
	/* Undoes that. Invocations that have begun may still run: an RCU grace period ends them. */
	void (*detach)(struct wring_link *link);
};

extern const struct wring_hook wring_hook_xdp;
extern const struct wring_hook wring_hook_rawtp;
extern const struct wring_hook wring_hook_netfilter;

/* ---- hook.c ---- */

/*
 * Calls fn for every link of a hook, in no order. Inside attach or detach only: the lock is held.
 */
void wring_link_for_each(const struct wring_hook *hook,
			 void (*fn)(struct wring_link *link, void *arg), void *arg);

/* ---- hook_stub.c: programs that stand in for an eBPF stub ---- */

/*
 * Takes the eBPF program of attach->stub_fd, if it is a stub of this type. As struct
 * wring_hook::attach.
 */
int wring_stub_get(struct wring_link *link, const struct wring_link_attach *attach,
		   enum bpf_prog_type type, struct wring_report *report);
void wring_stub_put(struct wring_link *link);
/* Patches the stub into a jump to the program's entry. As struct wring_hook::attach. */
int wring_stub_bind(struct wring_link *link, struct wring_report *report);
/* Gives the stub its own code back. */
void wring_stub_unbind(struct wring_link *link);
/* Whether nobody but the link holds the stub any more: nothing can run it. Any context. */
bool wring_stub_abandoned(const struct wring_link *link);

/* ---- hook_run.c: WRING_IOC_PROG_RUN ---- */

/*
 * Runs the program on ctx as often as run->repeat says, with softirqs disabled as at a hook, and
 * fills in what is told of the runs. 0, or -EINTR with the report filled in if a signal came. May
 * sleep.
 */
int wring_run_repeat(struct wring_program *program, void *ctx, struct wring_prog_run *run,
		     struct wring_report *report);
/* Copies the packet back as run->data_out asks. 0 or -EFAULT with the report filled in. */
int wring_run_copy_out(struct wring_prog_run *run, const void *data, u32 bytes,
		       struct wring_report *report);

/* ---- hook_host.c, log.c: host functions ---- */

/*
 * What a netfilter program's hook_ctx points to. The first two are struct wring_hook_type's
 * pkt_*_offset.
 */
struct wring_nf_packet {
	u8 *data;
	u8 *data_end;
	struct sk_buff *skb;
};

int wring_host_init(void);
int wring_log_init(void);

/*
 * len bytes at ptr of the guest's memory 0, or NULL with the trap set. Valid until the guest runs
 * again. Any context.
 */
void *wring_guest_bytes(struct wring_vmctx *vmctx, u32 ptr, u64 len);

#endif /* WRING_HOOK_H */
