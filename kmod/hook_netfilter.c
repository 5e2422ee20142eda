// SPDX-License-Identifier: GPL-2.0
/*
 * hook_netfilter.c - netfilter programs: a hook function of the caller's network namespace, IPv4 or
 * IPv6 or both.
 *
 * Linux 6.1 has no eBPF program type for netfilter that a stub could have, so nf_register_net_hook
 * it is. The packet is the skb's linear data from its network header on. pkt_read also reaches what
 * lies in fragments.
 *
 * A program that stores into packets gets skbs whose linear data is its own, made so before it
 * runs: the generated code holds on to the packet's address, which therefore may not change while
 * it runs.
 */
#include <linux/bottom_half.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/nsproxy.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

#include "hook.h"
#include "wring.h"

#define MAX_RUN_BYTES 65535u

static void wring_nf_packet_set(struct wring_nf_packet *packet, struct sk_buff *skb)
{
	packet->skb = skb;
	packet->data = skb_network_header(skb);
	packet->data_end = skb_tail_pointer(skb);
}

/*
 * Under rcu_read_lock, in softirq or, for packets of local processes, in process context. There it
 * must keep softirqs out as well: one that came upon the busy instance would let its packet pass
 * unfiltered.
 */
static unsigned int wring_nf_hook(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	const struct wring_link *link = priv;
	const struct wring_program *program = link->program;
	struct wring_nf_packet packet;
	unsigned int verdict;

	if (link->nf_writes && skb_ensure_writable(skb, skb_headlen(skb))) {
		this_cpu_inc(program->cpu->counters.misses[WRING_MISS_READ_ONLY]);
		return program->default_verdict;
	}
	wring_nf_packet_set(&packet, skb);
	local_bh_disable();
	verdict = program->entry(&packet);
	local_bh_enable();
	return verdict;
}

static bool wring_nf_stores(const struct wring_module *module)
{
	static const char prefix[] = "pkt_store", write[] = "pkt_write";
	u32 i, count = wring_module_import_count(module);
	struct wring_extern_desc import;

	for (i = 0; i < count; i++) {
		/* To be on the safe side, for an engine that cannot tell. */
		if (wring_module_import(module, i, &import))
			return true;
		if ((import.name.len >= sizeof(prefix) - 1 &&
		     !memcmp(import.name.data, prefix, sizeof(prefix) - 1)) ||
		    (import.name.len == sizeof(write) - 1 &&
		     !memcmp(import.name.data, write, sizeof(write) - 1)))
			return true;
	}
	return false;
}

static int wring_nf_attach(struct wring_link *link, const struct wring_link_attach *attach,
			   struct wring_report *report)
{
	struct net *net = current->nsproxy->net_ns;
	int err;

	if (attach->stub_fd != -1 || attach->ifindex)
		return wring_report_set(report, -EINVAL, "stub_fd and ifindex are other hooks'");
	if (attach->pf != NFPROTO_IPV4 && attach->pf != NFPROTO_IPV6 && attach->pf != NFPROTO_INET)
		return wring_report_set(report, -EAFNOSUPPORT,
					"pf: IPv4, IPv6 or both (NFPROTO_INET)");
	if (attach->hooknum >= NF_INET_NUMHOOKS)
		return wring_report_set(report, -EINVAL,
					"hooknum: NF_INET_PRE_ROUTING to NF_INET_POST_ROUTING");
	link->net = net;
	link->nf_writes = wring_nf_stores(link->program->module);
	link->nf_ops.hook = wring_nf_hook;
	link->nf_ops.priv = link;
	link->nf_ops.pf = attach->pf;
	link->nf_ops.hooknum = attach->hooknum;
	link->nf_ops.priority = attach->priority;
	err = nf_register_net_hook(net, &link->nf_ops);
	if (err)
		return wring_report_set(report, err, "the netfilter hook cannot be registered");
	return 0;
}

static void wring_nf_detach(struct wring_link *link)
{
	nf_unregister_net_hook(link->net, &link->nf_ops);
}

/* An skb as the hooks see it: data at the network header. */
static struct sk_buff *wring_nf_run_skb(const struct wring_prog_run *run,
					struct wring_report *report)
{
	struct sk_buff *skb;
	u8 *data;

	skb = alloc_skb(LL_MAX_HEADER + run->data_in_bytes, WRING_GFP);
	if (!skb) {
		wring_report_set(report, -ENOMEM, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	skb_reserve(skb, LL_MAX_HEADER);
	data = skb_put(skb, run->data_in_bytes);
	if (copy_from_user(data, u64_to_user_ptr(run->data_in), run->data_in_bytes)) {
		kfree_skb(skb);
		wring_report_set(report, -EFAULT, "data_in cannot be read");
		return ERR_PTR(-EFAULT);
	}
	skb_reset_network_header(skb);
	skb->protocol = *data >> 4 == 6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	return skb;
}

static int wring_nf_run(struct wring_program *program, struct wring_prog_run *run,
			struct wring_report *report)
{
	struct wring_nf_packet packet;
	struct sk_buff *skb;
	int err;

	if (run->data_in_bytes < sizeof(struct iphdr) || run->data_in_bytes > MAX_RUN_BYTES)
		return wring_report_set(report, -EINVAL, "data_in: an IP packet of %zu to %u bytes",
					sizeof(struct iphdr), MAX_RUN_BYTES);
	skb = wring_nf_run_skb(run, report);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	wring_nf_packet_set(&packet, skb);
	err = wring_run_repeat(program, &packet, run, report);
	if (!err)
		err = wring_run_copy_out(run, packet.data, skb->len, report);
	kfree_skb(skb);
	return err;
}

const struct wring_hook wring_hook_netfilter = {
	.type = {
		.type = WRING_PROG_NETFILTER,
		.name = "netfilter",
		.capability = CAP_NET_ADMIN,
		.default_verdict = NF_ACCEPT,
		.verdict_min = NF_DROP,
		.verdict_max = NF_ACCEPT,
		.pkt_data_offset = offsetof(struct wring_nf_packet, data),
		.pkt_end_offset = offsetof(struct wring_nf_packet, data_end),
		.run = wring_nf_run,
	},
	.attach = wring_nf_attach,
	.detach = wring_nf_detach,
};
