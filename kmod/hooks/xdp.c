// SPDX-License-Identifier: GPL-2.0
/*
 * xdp.c - XDP programs: stand in for an eBPF stub of type XDP, which is then attached like any
 * other.
 *
 * Its attachment to a netdev is plain bpf(2) or netlink, native or generic, so all tools work and a
 * netdev that vanishes is the kernel's own business. The packet is the linear part of struct
 * xdp_buff.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/xdp.h>

#include "hooks/family.h"
#include "hooks/link.h"
#include "hooks/run.h"
#include "hooks/stub.h"
#include "os/os.h"
#include "report.h"

struct wring_xdp_link {
	struct wring_link link;
	struct bpf_prog *stub;		/* referenced */
	u32 ifindex;
	char devname[WRING_TARGET_LEN];
};

static struct wring_xdp_link *wring_xdp_link(const struct wring_link *link)
{
	return container_of(link, struct wring_xdp_link, link);
}

static int wring_xdp_prepare(struct wring_link *link, const struct wring_link_attach *attach,
			     struct wring_report *report)
{
	struct wring_xdp_link *xdp = wring_xdp_link(link);

	xdp->ifindex = attach->xdp.ifindex;
	return wring_link_name_copy(xdp->devname, attach->xdp.devname, "devname", report);
}

static int wring_xdp_attach(struct wring_link *link, const struct wring_link_attach *attach,
			    struct wring_report *report)
{
	struct wring_xdp_link *xdp = wring_xdp_link(link);

	xdp->stub = wring_stub_bind(link->program, attach->xdp.stub_fd, report);
	return PTR_ERR_OR_ZERO(xdp->stub);
}

static void wring_xdp_detach(struct wring_link *link)
{
	wring_stub_unbind(wring_xdp_link(link)->stub, link->program);
}

static void wring_xdp_release(struct wring_link *link)
{
	bpf_prog_put(wring_xdp_link(link)->stub);
}

static void wring_xdp_describe(const struct wring_link *link, struct wring_link_info *info)
{
	const struct wring_xdp_link *xdp = wring_xdp_link(link);

	info->xdp.stub_id = xdp->stub->aux->id;
	info->xdp.ifindex = xdp->ifindex;
	strscpy(info->xdp.devname, xdp->devname, sizeof(info->xdp.devname));
}

/* Also when its netdev is gone. */
static bool wring_xdp_is_abandoned(const struct wring_link *link)
{
	return wring_stub_is_abandoned(wring_xdp_link(link)->stub);
}

static int wring_xdp_run(struct wring_program *program, struct wring_prog_run *run,
			 struct wring_report *report)
{
	/* As drivers have it: speculation may reach behind the packet (WRING_PACKET_TAIL_BYTES). */
	u32 room = XDP_PACKET_HEADROOM + run->data_in_bytes +
		   SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	struct xdp_rxq_info rxq = {};
	struct xdp_buff xdp;
	void *data;
	int err;

	if (run->data_in_bytes < ETH_HLEN || run->data_in_bytes > WRING_MAX_RUN_BYTES)
		return wring_report_set(report, -EINVAL, "data_in: a packet of %u to %u bytes",
					ETH_HLEN, WRING_MAX_RUN_BYTES);
	data = kvzalloc(room, WRING_GFP);
	if (!data)
		return wring_report_set(report, -ENOMEM, "out of memory");
	err = wring_run_copy_in(run, data + XDP_PACKET_HEADROOM, report);
	if (err)
		goto out;
	xdp_init_buff(&xdp, room, &rxq);
	xdp_prepare_buff(&xdp, data, XDP_PACKET_HEADROOM, run->data_in_bytes, false);
	err = wring_run_repeat(program, &xdp, run, report);
	if (!err)
		err = wring_run_copy_out(run, xdp.data, run->data_in_bytes, report);
out:
	kvfree(data);
	return err;
}

const struct wring_family_ops wring_xdp_ops = {
	.bpf_type = BPF_PROG_TYPE_XDP,
	.layout = {
		.pkt_data_offset = offsetof(struct xdp_buff, data),
		.pkt_end_offset = offsetof(struct xdp_buff, data_end),
	},
	.skb_offset = -1,
	.link_bytes = sizeof(struct wring_xdp_link),
	.attach_bytes = sizeof(struct wring_attach_xdp),
	.prepare = wring_xdp_prepare,
	.attach = wring_xdp_attach,
	.detach = wring_xdp_detach,
	.release = wring_xdp_release,
	.describe = wring_xdp_describe,
	.is_abandoned = wring_xdp_is_abandoned,
	.run = wring_xdp_run,
};
