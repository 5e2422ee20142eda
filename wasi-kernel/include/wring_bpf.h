/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wring_bpf.h - the eBPF half of wring.h: what one would write by hand with libbpf's helpers.
 */
#ifndef WRING_GUEST_BPF_H
#define WRING_GUEST_BPF_H

#ifndef __LINUX_BPF_H__
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s16 __s16;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};
#endif

#include <bpf/bpf_helpers.h>

/* ---- programs ---- */

/* Lives in registers: everything that takes one is inlined. */
struct wring_packet {
	void *ctx;
	u8 *data;
	u8 *data_end;
};

#define WRING_XDP(name, pkt)								\
	wring_inline u32 wring_body_##name(struct wring_packet *pkt);			\
	SEC("xdp") int name(struct xdp_md *ctx)						\
	{										\
		struct wring_packet packet = { ctx, (u8 *)(long)ctx->data,		\
					       (u8 *)(long)ctx->data_end };		\
											\
		return wring_body_##name(&packet);					\
	}										\
	wring_inline u32 wring_body_##name(struct wring_packet *pkt wring_unused)

#define WRING_RAW_TP(tracepoint, name, tp)						\
	wring_inline u32 wring_body_##name(struct bpf_raw_tracepoint_args *tp);		\
	SEC("raw_tp/" #tracepoint) int name(struct bpf_raw_tracepoint_args *ctx)	\
	{										\
		return wring_body_##name(ctx);						\
	}										\
	wring_inline u32 wring_body_##name(struct bpf_raw_tracepoint_args *tp wring_unused)

#define WRING_LICENSE(text) char _license[] SEC("license") = text

/* ---- packets ---- */

/* The verifier follows packet offsets up to 0xffff. */
#define WRING_MAX_PKT_OFF 0xf000u

/* Ends the program (of which the caller is an inlined part) with XDP's default verdict. */
wring_inline void wring_leave(void)
{
	__asm__ volatile("r0 = %0\n\texit" : : "i"(XDP_PASS) : "r0");
	__builtin_unreachable();
}

wring_inline u8 *wring_pkt_check(const struct wring_packet *pkt, u32 off, u32 bytes)
{
	u8 *p = pkt->data + off;

	if (!__builtin_constant_p(off)) {
		if (off > WRING_MAX_PKT_OFF)
			wring_leave();
		/* Keeps the sum in one register: only then does the comparison below vouch for it. */
		__asm__ volatile("" : "+r"(p));
	}
	if (p + bytes > pkt->data_end)
		wring_leave();
	return p;
}

wring_inline u32 wring_pkt_len(const struct wring_packet *pkt)
{
	return (u32)(pkt->data_end - pkt->data);
}

#define wring_define_access(bits)								\
	wring_inline u##bits wring_load##bits(const struct wring_packet *pkt, u32 off)		\
	{											\
		return *(u##bits *)wring_pkt_check(pkt, off, bits / 8);				\
	}											\
	wring_inline void wring_store##bits(struct wring_packet *pkt, u32 off, u##bits value)	\
	{											\
		*(u##bits *)wring_pkt_check(pkt, off, bits / 8) = value;			\
	}
wring_define_access(8)
wring_define_access(16)
wring_define_access(32)
wring_define_access(64)
#undef wring_define_access

#define wring_header(pkt, off, type) \
	((const type wring_hdr *)(unsigned long)wring_pkt_check(pkt, off, sizeof(type)))

wring_inline u64 wring_field_load(unsigned long address, u32 bytes)
{
	switch (bytes) {
	case 1:
		return *(u8 *)address;
	case 2:
		return *(u16 *)address;
	case 4:
		return *(u32 *)address;
	default:
		return *(u64 *)address;
	}
}

#define wring_field(field)								\
	({										\
		_Static_assert(sizeof(field) == 1 || sizeof(field) == 2 ||		\
			       sizeof(field) == 4 || sizeof(field) == 8,		\
			       "wring_field() takes members of 1, 2, 4 or 8 bytes");	\
		(typeof(field))wring_field_load((unsigned long)&(field), sizeof(field)); \
	})

wring_inline int wring_pkt_read(const struct wring_packet *pkt, u32 off, void *dst, u32 len)
{
	return (int)bpf_xdp_load_bytes(pkt->ctx, off, dst, len);
}

wring_inline int wring_pkt_write(struct wring_packet *pkt, u32 off, const void *src, u32 len)
{
	return (int)bpf_xdp_store_bytes(pkt->ctx, off, (void *)src, len);
}

/* ---- tracepoints ---- */

#define wring_arg(tp, i) ((u64)(tp)->args[i])

/* ---- maps ---- */

#define WRING_MAP(name, map_type, key_type, value_type, entries)		\
	struct {								\
		__uint(type, BPF_MAP_TYPE_##map_type);				\
		__type(key, key_type);						\
		__type(value, value_type);					\
		__uint(max_entries, entries);					\
	} name SEC(".maps")

#define wring_map_type(map) (sizeof(*(map).type) / sizeof(int))

#define wring_map_is_counter(map)						\
	_Static_assert(sizeof(*(map).key) == 4 && sizeof(*(map).value) == 8,	\
		       "counters are in maps of u32 keys and u64 values")

#define wring_map_lookup(map, key_ptr, value_ptr)				\
	({									\
		const typeof(*(map).key) *wring_key_ = (key_ptr);		\
		typeof(*(map).value) *wring_value_ = (value_ptr);		\
		typeof(*(map).value) *wring_found_ = bpf_map_lookup_elem(&(map), wring_key_); \
		if (wring_found_)						\
			*wring_value_ = *wring_found_;				\
		wring_found_ ? 0 : -2;						\
	})

#define wring_map_update(map, key_ptr, value_ptr, flags)			\
	({									\
		const typeof(*(map).key) *wring_key_ = (key_ptr);		\
		const typeof(*(map).value) *wring_value_ = (value_ptr);		\
		(int)bpf_map_update_elem(&(map), wring_key_, wring_value_, flags); \
	})

#define wring_map_delete(map, key_ptr)						\
	({									\
		const typeof(*(map).key) *wring_key_ = (key_ptr);		\
		(int)bpf_map_delete_elem(&(map), wring_key_);			\
	})

#define wring_map_add(map, index, n)						\
	({									\
		wring_map_is_counter(map);					\
		u32 wring_index_ = (index);					\
		u64 *wring_counter_ = bpf_map_lookup_elem(&(map), &wring_index_); \
		if (wring_counter_) {						\
			if (wring_map_type(map) == BPF_MAP_TYPE_PERCPU_ARRAY ||	\
			    wring_map_type(map) == BPF_MAP_TYPE_PERCPU_HASH ||	\
			    wring_map_type(map) == BPF_MAP_TYPE_LRU_PERCPU_HASH) \
				*wring_counter_ += (n);				\
			else							\
				__sync_fetch_and_add(wring_counter_, (n));	\
		}								\
		(void)0;							\
	})

#define wring_map_load(map, index)						\
	({									\
		wring_map_is_counter(map);					\
		u32 wring_index_ = (index);					\
		u64 *wring_counter_ = bpf_map_lookup_elem(&(map), &wring_index_); \
		wring_counter_ ? *(volatile u64 *)wring_counter_ : 0;		\
	})

/* ---- the rest ---- */

wring_inline u64 wring_ktime_ns(void)
{
	return bpf_ktime_get_ns();
}

wring_inline u32 wring_cpu(void)
{
	return bpf_get_smp_processor_id();
}

wring_inline u64 wring_pid_tgid(void)
{
	return bpf_get_current_pid_tgid();
}

#define wring_log(format, ...) ((void)bpf_printk(format, ##__VA_ARGS__))

#endif /* WRING_GUEST_BPF_H */
