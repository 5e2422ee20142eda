// SPDX-License-Identifier: GPL-2.0
/*
 * packet.c - host functions that copy bytes of packets. Bounds of packets are failures that the guest sees.
 */
#include <linux/nospec.h>
#include <linux/skbuff.h>

#include "hooks/family.h"
#include "host/functions.h"
#include "unit/unit.h"

/* Whether a range lies in the packet. Where that is mispredicted it does, too. */
static bool wring_pkt_holds(const struct wring_vmctx *vmctx, u32 *off, u32 *len)
{
	if ((u64)*off + *len > vmctx->pkt_len)
		return false;
	*off = array_index_nospec(*off, vmctx->pkt_len + 1);
	*len = array_index_nospec(*len, vmctx->pkt_len - *off + 1);
	return true;
}

/*
 * Whether a hook runs, else the trap is set: a start function can get here by a table, which nobody
 * can tell when it is loaded.
 */
static bool wring_in_hook(struct wring_vmctx *vmctx)
{
	if (vmctx->hook_ctx)
		return true;
	vmctx->trap_reason = WRING_TRAP_PacketOutOfBounds;
	return false;
}

/* In units of fuel: a step from one fragment of a packet to the next, which no cache may have. */
#define FRAGMENT_COST 64

/*
 * How many fragments are gone through for the bytes up to `end`: a datagram put together from small ones has thousands.
 */
static u32 wring_skb_fragments(const struct sk_buff *skb, u32 end)
{
	u32 count = skb_shinfo(skb)->nr_frags, at = skb_pagelen(skb);
	const struct sk_buff *part;

	for (part = skb_shinfo(skb)->frag_list; part && at < end; part = part->next) {
		count += 1 + skb_shinfo(part)->nr_frags;
		at += part->len;
	}
	return count;
}

/* Bytes beyond the linear part, of hooks that have an skb. */
static u32 wring_pkt_read_skb(struct wring_vmctx *vmctx, u32 off, void *to, u32 len)
{
	int skb_offset = wring_vmctx_unit(vmctx)->family->ops->skb_offset, start;
	const struct sk_buff *skb;

	if (skb_offset < 0)
		return -EFAULT;
	skb = *(struct sk_buff **)(vmctx->hook_ctx + skb_offset);
	start = skb_network_offset(skb);
	if ((u64)off + len > skb->len - start)
		return -EFAULT;
	if (wring_guest_charge(vmctx, (u64)wring_skb_fragments(skb, start + off + len) *
					      FRAGMENT_COST))
		return 0;
	return skb_copy_bits(skb, start + off, to, len) ? -EFAULT : 0;
}

u32 wring_host_pkt_read(struct wring_vmctx *vmctx, u32 off, u32 dst, u32 len)
{
	void *to = wring_guest_bytes(vmctx, dst, len);

	if (!to || !wring_in_hook(vmctx) || wring_guest_pay(vmctx, len))
		return 0;
	if (!wring_pkt_holds(vmctx, &off, &len))
		return wring_pkt_read_skb(vmctx, off, to, len);
	memcpy(to, vmctx->pkt + off, len);
	return 0;
}

u32 wring_host_pkt_write(struct wring_vmctx *vmctx, u32 off, u32 src, u32 len)
{
	const void *from = wring_guest_bytes(vmctx, src, len);

	if (!from || !wring_in_hook(vmctx) || wring_guest_pay(vmctx, len))
		return 0;
	if (!wring_pkt_holds(vmctx, &off, &len))
		return -EFAULT;
	memcpy(vmctx->pkt + off, from, len);
	return 0;
}

/* What generated code reads at constant offsets without a clamp is in the packet's own buffer. */
static_assert(SKB_DATA_ALIGN(sizeof(struct skb_shared_info)) >=
	      WRING_PACKET_TAIL_BYTES + sizeof(u64));
