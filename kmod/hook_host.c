// SPDX-License-Identifier: GPL-2.0
/*
 * hook_host.c - host functions of hook programs: bulk packet access, time, CPU and task.
 *
 * Called straight from generated code, in any context a hook has. Every pointer and length is the
 * guest's and checked against its memory; packet bounds are failures the guest sees, memory bounds
 * are traps.
 */
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/smp.h>

#include "hook.h"

/**
 * wring_guest_bytes - a range of the guest's memory
 * @vmctx: of the guest
 * @ptr: the guest's address
 * @len: bytes
 *
 * Where the check is mispredicted the bytes are in the memory's reservation all the same, because @ptr has 32 bits.
 *
 * Context: any, called by the guest.
 * Return: the bytes, or NULL with a trap set if they are not all in memory 0.
 */
void *wring_guest_bytes(struct wring_vmctx *vmctx, u32 ptr, u64 len)
{
	if (!vmctx->memory || len > vmctx->memory->bytes || ptr > vmctx->memory->bytes - len) {
		vmctx->trap_reason = WRING_TRAP_MemoryOutOfBounds;
		return NULL;
	}
	return vmctx->memory->base + ptr;
}

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

/* Copies packet bytes to the guest: 0 or -EFAULT. */
static u32 wring_host_pkt_read(struct wring_vmctx *vmctx, u32 off, u32 dst, u32 len)
{
	const struct wring_program *program = wring_vmctx_program(vmctx);
	void *to = wring_guest_bytes(vmctx, dst, len);
	const struct wring_nf_packet *packet;
	int start;

	if (!to || !wring_in_hook(vmctx) || wring_guest_pay(vmctx, len))
		return 0;
	if (wring_pkt_holds(vmctx, &off, &len)) {
		memcpy(to, vmctx->pkt + off, len);
		return 0;
	}
	if (program->type != WRING_PROG_NETFILTER)
		return -EFAULT;
	packet = vmctx->hook_ctx;
	start = skb_network_offset(packet->skb);
	if ((u64)off + len > packet->skb->len - start)
		return -EFAULT;
	return skb_copy_bits(packet->skb, start + off, to, len) ? -EFAULT : 0;
}

/* Copies bytes of the guest to the linear part of the packet: 0 or -EFAULT. */
static u32 wring_host_pkt_write(struct wring_vmctx *vmctx, u32 off, u32 src, u32 len)
{
	const void *from = wring_guest_bytes(vmctx, src, len);

	if (!from || !wring_in_hook(vmctx) || wring_guest_pay(vmctx, len))
		return 0;
	if (!wring_pkt_holds(vmctx, &off, &len))
		return -EFAULT;
	memcpy(vmctx->pkt + off, from, len);
	return 0;
}

static u64 wring_host_ktime_ns(struct wring_vmctx *vmctx)
{
	return ktime_get_mono_fast_ns();
}

static u32 wring_host_cpu_id(struct wring_vmctx *vmctx)
{
	return raw_smp_processor_id();
}

/* Process id in the upper half, thread id in the lower, as bpf_get_current_pid_tgid. */
static u64 wring_host_pid_tgid(struct wring_vmctx *vmctx)
{
	return (u64)current->tgid << 32 | current->pid;
}

/* In units of fuel: where the clock is a device, reading it takes microseconds. */
#define CLOCK_COST 128

/* What generated code reads at constant offsets without a clamp is in the packet's own buffer. */
static_assert(SKB_DATA_ALIGN(sizeof(struct skb_shared_info)) >=
	      WRING_PACKET_TAIL_BYTES + sizeof(u64));

#define IN_PACKET_HOOKS (WRING_IN(WRING_PROG_XDP) | WRING_IN(WRING_PROG_NETFILTER))

static const struct wring_host_function wring_host_functions[] = {
	{ "wring", "pkt_read", "iii", "i", wring_host_pkt_read, IN_PACKET_HOOKS,
	  .needs_hook = true, .may_trap = true },
	{ "wring", "pkt_write", "iii", "i", wring_host_pkt_write, IN_PACKET_HOOKS,
	  .needs_hook = true, .may_trap = true },
	{ "wring", "pkt_len", "", "i", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_load8", "i", "i", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_load16", "i", "i", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_load32", "i", "i", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_load64", "i", "l", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_store8", "ii", "", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_store16", "ii", "", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_store32", "ii", "", NULL, IN_PACKET_HOOKS },
	{ "wring", "pkt_store64", "il", "", NULL, IN_PACKET_HOOKS },
	{ "wring", "arg", "i", "l", NULL, WRING_IN(WRING_PROG_RAW_TRACEPOINT) },
	{ "wring", "ktime_ns", "", "l", wring_host_ktime_ns,
	  WRING_IN_PROGRAMS | WRING_IN_INSTANCE, .cost = CLOCK_COST },
	{ "wring", "cpu_id", "", "i", wring_host_cpu_id, WRING_IN_PROGRAMS | WRING_IN_INSTANCE },
	{ "wring", "pid_tgid", "", "l", wring_host_pid_tgid, WRING_IN(WRING_PROG_RAW_TRACEPOINT) },
	{}
};

/**
 * wring_host_init - register these host functions
 *
 * Context: module initialization.
 * Return: 0 or a negative errno.
 */
int wring_host_init(void)
{
	return wring_host_register(wring_host_functions);
}
