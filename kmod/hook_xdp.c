// SPDX-License-Identifier: GPL-2.0
/*
 * hook_xdp.c - XDP programs: stand in for an eBPF stub of type XDP, which is then attached like any
 * other.
 *
 * Its attachment to a netdev is plain bpf(2) or netlink, native or generic, so all tools work and a
 * netdev that vanishes is the kernel's own business. The packet is the linear part of struct
 * xdp_buff.
 */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/xdp.h>

#include "hook.h"
#include "wring.h"

/* A page less this is what drivers offer; 64 KiB are for test runs that want more. */
#define MAX_RUN_BYTES 65535u

static int wring_xdp_attach(struct wring_link *link, const struct wring_link_attach *attach,
			    struct wring_report *report)
{
	int err;

	if (attach->pf || attach->hooknum || attach->priority)
		return wring_report_set(report, -EINVAL,
					"pf, hooknum and priority are netfilter's");
	err = wring_stub_get(link, attach, BPF_PROG_TYPE_XDP, report);
	if (err)
		return err;
	err = wring_stub_bind(link, report);
	if (err)
		wring_stub_put(link);
	return err;
}

static void wring_xdp_detach(struct wring_link *link)
{
	wring_stub_unbind(link);
	wring_stub_put(link);
}

static int wring_xdp_run(struct wring_program *program, struct wring_prog_run *run,
			 struct wring_report *report)
{
	u32 room = XDP_PACKET_HEADROOM + run->data_in_bytes;
	struct xdp_rxq_info rxq = {};
	struct xdp_buff xdp;
	void *data;
	int err;

	if (run->data_in_bytes < ETH_HLEN || run->data_in_bytes > MAX_RUN_BYTES)
		return wring_report_set(report, -EINVAL, "data_in: a packet of %u to %u bytes",
					ETH_HLEN, MAX_RUN_BYTES);
	data = kvzalloc(room, WRING_GFP);
	if (!data)
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = -EFAULT;
	if (copy_from_user(data + XDP_PACKET_HEADROOM, u64_to_user_ptr(run->data_in),
			   run->data_in_bytes)) {
		wring_report_set(report, err, "data_in cannot be read");
		goto out;
	}
	xdp_init_buff(&xdp, room, &rxq);
	xdp_prepare_buff(&xdp, data, XDP_PACKET_HEADROOM, run->data_in_bytes, false);
	err = wring_run_repeat(program, &xdp, run, report);
	if (!err)
		err = wring_run_copy_out(run, xdp.data, run->data_in_bytes, report);
out:
	kvfree(data);
	return err;
}

const struct wring_hook wring_hook_xdp = {
	.type = {
		.type = WRING_PROG_XDP,
		.name = "xdp",
		.capability = CAP_NET_ADMIN,
		.default_verdict = XDP_PASS,
		.verdict_min = XDP_ABORTED,
		/*
		 * XDP_REDIRECT needs a target, which no host function sets: one that
		 * somebody else has left would be used.
		 */
		.verdict_max = XDP_TX,
		.pkt_data_offset = offsetof(struct xdp_buff, data),
		.pkt_end_offset = offsetof(struct xdp_buff, data_end),
		.run = wring_xdp_run,
	},
	.attach = wring_xdp_attach,
	.detach = wring_xdp_detach,
};
