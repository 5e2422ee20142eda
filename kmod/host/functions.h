/* SPDX-License-Identifier: GPL-2.0 */
/*
 * functions.h - the C functions of host.def, and what they share.
 *
 * Called straight from generated code, in any context that units which may import them run in. Every pointer and length
 * is the guest's and checked against its memory: bounds of memory are traps.
 */
#ifndef WRING_HOST_FUNCTIONS_H
#define WRING_HOST_FUNCTIONS_H

#include <linux/types.h>

struct wring_vmctx;

/*
 * len bytes at ptr of the guest's memory 0, or NULL with the trap set. Valid until the guest runs again. Where the
 * check is mispredicted the bytes are in the memory's reservation all the same, because ptr has 32 bits. Any context.
 */
void *wring_guest_bytes(struct wring_vmctx *vmctx, u32 ptr, u64 len);

/* ---- packet.c ---- */

/* Copies packet bytes to the guest, or from it to the packet's linear part: 0 or -EFAULT. */
u32 wring_host_pkt_read(struct wring_vmctx *vmctx, u32 off, u32 dst, u32 len);
u32 wring_host_pkt_write(struct wring_vmctx *vmctx, u32 off, u32 src, u32 len);

/* ---- context.c ---- */

u64 wring_host_ktime_ns(struct wring_vmctx *vmctx);
u32 wring_host_cpu_id(struct wring_vmctx *vmctx);
/* Process id in the upper half, thread id in the lower, as bpf_get_current_pid_tgid. */
u64 wring_host_pid_tgid(struct wring_vmctx *vmctx);

/* ---- map.c ---- */

/*
 * 0 or a negative errno: -EBADF if there is no such map, -EPERM, -ENOENT, -E2BIG if values are too large to be copied,
 * or what the map's own operation says.
 */
u32 wring_host_map_lookup(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr, u32 value_ptr);
u32 wring_host_map_update(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr, u32 value_ptr,
			  u64 flags);
u32 wring_host_map_delete(struct wring_vmctx *vmctx, u32 handle, u32 key_ptr);
u32 wring_host_map_add(struct wring_vmctx *vmctx, u32 handle, u32 index, u32 offset, u64 n);
u64 wring_host_map_load64(struct wring_vmctx *vmctx, u32 handle, u32 index, u32 offset);

/* ---- log.c ---- */

/* The format's bytes beyond the longest line are not looked at. */
void wring_host_log(struct wring_vmctx *vmctx, u32 ptr, u32 len, u64 a, u64 b, u64 c);

#endif /* WRING_HOST_FUNCTIONS_H */
