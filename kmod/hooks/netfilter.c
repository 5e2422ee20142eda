// SPDX-License-Identifier: GPL-2.0
/*
 * netfilter.c - netfilter programs: a hook function of the caller's network namespace, IPv4 or
 * IPv6 or both.
 *
 * Linux 6.1 has no eBPF program type for netfilter that a stub could have, so nf_register_net_hook
 * it is. The packet is the skb's linear data from its network header on. pkt_read also reaches what
 * lies in fragments.
 *
 * A program that stores into packets gets skbs whose linear data is its own, made so before it
 * runs: the generated code holds on to the packet's address, which therefore may not change while
 * it runs. The stack has checked headers before its hooks and relies on that afterwards, so what it
 * has established must be as it was, or the packet is dropped.
 */
#include <linux/bottom_half.h>
#include <linux/netfilter.h>
#include <linux/nsproxy.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

#include "hooks/family.h"
#include "hooks/link.h"
#include "hooks/run.h"
#include "os/compat.h"
#include "os/os.h"
#include "report.h"
#include "unit/program.h"

struct wring_nf_link {
	struct wring_link link;
	struct net *net;		/* not referenced: the link goes with it */
	struct nf_hook_ops ops;
};

/* What a program's hook_ctx points to. */
struct wring_nf_packet {
	u8 *data;
	u8 *data_end;
	struct sk_buff *skb;
};

static struct wring_nf_link *wring_nf_link(const struct wring_link *link)
{
	return container_of(link, struct wring_nf_link, link);
}

static void wring_nf_packet_set(struct wring_nf_packet *packet, struct sk_buff *skb)
{
	packet->skb = skb;
	packet->data = skb_network_header(skb);
	packet->data_end = skb_tail_pointer(skb);
}

/* Of a packet before a program that stores into it. */
struct wring_nf_established {
	u8 header[60];			/* IPv4 with options, or what IPv6 has */
	u32 bytes;			/* of it that are there */
	u8 doff;			/* of TCP segments that are to be cut up further on */
};

static bool wring_nf_has_doff(const struct sk_buff *skb)
{
	return skb_is_gso(skb) && skb_transport_header_was_set(skb) &&
	       skb_shinfo(skb)->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6) &&
	       skb_transport_offset(skb) + sizeof(struct tcphdr) <= skb_headlen(skb);
}

static void wring_nf_note(const struct sk_buff *skb, struct wring_nf_established *before)
{
	before->bytes = min_t(u32, skb_tail_pointer(skb) - skb_network_header(skb),
			      sizeof(before->header));
	memcpy(before->header, skb_network_header(skb), before->bytes);
	if (wring_nf_has_doff(skb))
		before->doff = tcp_hdr(skb)->doff;
}

/*
 * Length of headers and packet, fragmentation, what comes next; and IPv4's options, whose places are noted when they
 * are parsed, and which are moved and copied by their lengths later. The rest may change.
 */
static bool wring_nf_is_sound(const struct sk_buff *skb, const struct wring_nf_established *before)
{
	const u8 *old = before->header, *now = skb_network_header(skb);
	u32 end;

	if (before->bytes < sizeof(struct iphdr))
		return false;
	if (wring_nf_has_doff(skb) && before->doff != tcp_hdr(skb)->doff)
		return false;
	if (old[0] >> 4 != 4)
		return old[0] >> 4 == now[0] >> 4 && !memcmp(old + 4, now + 4, 3);
	if (old[0] != now[0] || memcmp(old + 2, now + 2, 2) || memcmp(old + 6, now + 6, 2) ||
	    old[9] != now[9])
		return false;
	end = clamp_t(u32, (old[0] & 15) * 4, sizeof(struct iphdr), before->bytes);
	return !memcmp(old + sizeof(struct iphdr), now + sizeof(struct iphdr),
		       end - sizeof(struct iphdr));
}

static unsigned int wring_nf_enter(const struct wring_program *program, struct sk_buff *skb)
{
	struct wring_nf_packet packet;

	wring_nf_packet_set(&packet, skb);
	return program->entry(&packet);
}

/* The packet is the program's to store into. */
static unsigned int wring_nf_enter_writer(const struct wring_program *program, struct sk_buff *skb)
{
	struct wring_nf_established before;
	unsigned int verdict;

	wring_nf_note(skb, &before);
	verdict = wring_nf_enter(program, skb);
	if (verdict == NF_DROP || wring_nf_is_sound(skb, &before))
		return verdict;
	this_cpu_inc(program->cpu->counters.bad_verdicts);
	return NF_DROP;
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
	unsigned int verdict;

	if (program->unit.writes_packet && skb_ensure_writable(skb, skb_headlen(skb))) {
		this_cpu_inc(program->cpu->counters.misses[WRING_MISS_READ_ONLY]);
		return program->default_verdict;
	}
	local_bh_disable();
	verdict = program->unit.writes_packet ? wring_nf_enter_writer(program, skb) :
						wring_nf_enter(program, skb);
	local_bh_enable();
	return verdict;
}

static int wring_nf_prepare(struct wring_link *link, const struct wring_link_attach *attach,
			    struct wring_report *report)
{
	const struct wring_attach_netfilter *where = &attach->netfilter;
	struct wring_nf_link *nf = wring_nf_link(link);

	if (where->pf != NFPROTO_IPV4 && where->pf != NFPROTO_IPV6 && where->pf != NFPROTO_INET)
		return wring_report_set(report, -EAFNOSUPPORT,
					"pf: IPv4, IPv6 or both (NFPROTO_INET)");
	if (where->hooknum >= NF_INET_NUMHOOKS)
		return wring_report_set(report, -EINVAL,
					"hooknum: NF_INET_PRE_ROUTING to NF_INET_POST_ROUTING");
	nf->net = current->nsproxy->net_ns;
	nf->ops.hook = wring_nf_hook;
	nf->ops.priv = link;
	nf->ops.pf = where->pf;
	nf->ops.hooknum = where->hooknum;
	nf->ops.priority = where->priority;
	return 0;
}

static bool wring_nf_is_beside(const struct wring_link *link, const struct wring_link *other)
{
	const struct wring_nf_link *a = wring_nf_link(link), *b = wring_nf_link(other);

	return a->net == b->net && a->ops.hooknum == b->ops.hooknum &&
	       (a->ops.pf == b->ops.pf || a->ops.pf == NFPROTO_INET || b->ops.pf == NFPROTO_INET);
}

static int wring_nf_attach(struct wring_link *link, const struct wring_link_attach *attach,
			   struct wring_report *report)
{
	struct wring_nf_link *nf = wring_nf_link(link);
	int err;

	err = nf_register_net_hook(nf->net, &nf->ops);
	if (err)
		return wring_report_set(report, err, "the netfilter hook cannot be registered");
	return 0;
}

static void wring_nf_detach(struct wring_link *link)
{
	const struct wring_nf_link *nf = wring_nf_link(link);

	nf_unregister_net_hook(nf->net, &nf->ops);
}

static void wring_nf_describe(const struct wring_link *link, struct wring_link_info *info)
{
	const struct wring_nf_link *nf = wring_nf_link(link);

	info->netfilter.pf = nf->ops.pf;
	info->netfilter.hooknum = nf->ops.hooknum;
	info->netfilter.priority = nf->ops.priority;
	info->netfilter.netns_ino = nf->net->ns.inum;
}

static bool wring_nf_is_in(const struct wring_link *link, const struct net *net)
{
	return wring_nf_link(link)->net == net;
}

/* An skb as the hooks see it: data at the network header. */
static struct sk_buff *wring_nf_run_skb(const struct wring_prog_run *run,
					struct wring_report *report)
{
	struct sk_buff *skb;
	u8 *data;
	int err;

	skb = alloc_skb(LL_MAX_HEADER + run->data_in_bytes, WRING_GFP);
	if (!skb) {
		wring_report_set(report, -ENOMEM, "out of memory");
		return ERR_PTR(-ENOMEM);
	}
	skb_reserve(skb, LL_MAX_HEADER);
	data = skb_put(skb, run->data_in_bytes);
	err = wring_run_copy_in(run, data, report);
	if (err) {
		kfree_skb(skb);
		return ERR_PTR(err);
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

	if (run->data_in_bytes < sizeof(struct iphdr) || run->data_in_bytes > WRING_MAX_RUN_BYTES)
		return wring_report_set(report, -EINVAL, "data_in: an IP packet of %zu to %u bytes",
					sizeof(struct iphdr), WRING_MAX_RUN_BYTES);
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

const struct wring_family_ops wring_netfilter_ops = {
	.bpf_type = WRING_BPF_TYPE_NETFILTER,
	.layout = {
		.pkt_data_offset = offsetof(struct wring_nf_packet, data),
		.pkt_end_offset = offsetof(struct wring_nf_packet, data_end),
	},
	.skb_offset = offsetof(struct wring_nf_packet, skb),
	.link_bytes = sizeof(struct wring_nf_link),
	.attach_bytes = sizeof(struct wring_attach_netfilter),
	.prepare = wring_nf_prepare,
	.is_beside = wring_nf_is_beside,
	.attach = wring_nf_attach,
	.detach = wring_nf_detach,
	.describe = wring_nf_describe,
	.is_in = wring_nf_is_in,
	.run = wring_nf_run,
};
