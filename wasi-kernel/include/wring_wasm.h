/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wring_wasm.h - the Wasm half of wring.h: host imports and the custom sections the loader reads.
 *
 * Sections (strings are NUL-terminated, integers little-endian u32, records follow each other without padding):
 *   wring.progs	export name, hook ("xdp", "netfilter", "raw_tp/NAME")
 *   wring.maps		BPF map type, key bytes, value bytes, entries, flags, name
 *   wring.license	the license
 * A map's handle is what the import "wring_map" NAME returns; the compiler makes it a constant.
 */
#ifndef WRING_GUEST_WASM_H
#define WRING_GUEST_WASM_H

#define wring_import(symbol, name) __attribute__((import_module("wring"), import_name(name))) symbol

wring_import(extern u32 wring_host_pkt_len(void), "pkt_len");
wring_import(extern u32 wring_host_pkt_load8(u32 off), "pkt_load8");
wring_import(extern u32 wring_host_pkt_load16(u32 off), "pkt_load16");
wring_import(extern u32 wring_host_pkt_load32(u32 off), "pkt_load32");
wring_import(extern u64 wring_host_pkt_load64(u32 off), "pkt_load64");
wring_import(extern void wring_host_pkt_store8(u32 off, u32 value), "pkt_store8");
wring_import(extern void wring_host_pkt_store16(u32 off, u32 value), "pkt_store16");
wring_import(extern void wring_host_pkt_store32(u32 off, u32 value), "pkt_store32");
wring_import(extern void wring_host_pkt_store64(u32 off, u64 value), "pkt_store64");
wring_import(extern s32 wring_host_pkt_read(u32 off, void *dst, u32 len), "pkt_read");
wring_import(extern s32 wring_host_pkt_write(u32 off, const void *src, u32 len), "pkt_write");
wring_import(extern u64 wring_host_arg(u32 i), "arg");
wring_import(extern u32 wring_host_cpu_id(void), "cpu_id");
wring_import(extern u64 wring_host_ktime_ns(void), "ktime_ns");
wring_import(extern u64 wring_host_pid_tgid(void), "pid_tgid");
wring_import(extern void wring_host_log(const char *format, u32 len, u64 a, u64 b, u64 c), "log");
wring_import(extern s32 wring_host_map_add(u32 map, u32 index, u32 offset, u64 n), "map_add");
wring_import(extern u64 wring_host_map_load64(u32 map, u32 index, u32 offset), "map_load64");
wring_import(extern s32 wring_host_map_lookup(u32 map, const void *key, void *value), "map_lookup");
wring_import(extern s32 wring_host_map_update(u32 map, const void *key, const void *value,
					      u64 flags), "map_update");
wring_import(extern s32 wring_host_map_delete(u32 map, const void *key), "map_delete");

/* ---- programs ---- */

/* There is one packet per invocation, so its handle carries nothing. */
struct wring_packet;
struct wring_tracepoint;

#define wring_section(name) ".section .custom_section." name ",\"\",@\n\t"

#define wring_program(name, hook, argument)							\
	__asm__(wring_section("wring.progs") ".asciz \"" #name "\"\n\t.asciz \"" hook "\"");	\
	wring_inline u32 wring_body_##name(argument);						\
	__attribute__((export_name(#name))) u32 name(void);					\
	__attribute__((export_name(#name))) u32 name(void)					\
	{											\
		return wring_body_##name(0);							\
	}											\
	wring_inline u32 wring_body_##name(argument)

#define WRING_XDP(name, pkt) \
	wring_program(name, "xdp", struct wring_packet *pkt wring_unused)
#define WRING_NETFILTER(name, pkt) \
	wring_program(name, "netfilter", struct wring_packet *pkt wring_unused)
#define WRING_RAW_TP(tracepoint, name, tp) \
	wring_program(name, "raw_tp/" #tracepoint, struct wring_tracepoint *tp wring_unused)

#define WRING_LICENSE(text) __asm__(wring_section("wring.license") ".asciz \"" text "\"")

/* ---- packets ---- */

wring_inline u32 wring_pkt_len(const struct wring_packet *pkt)
{
	(void)pkt;
	return wring_host_pkt_len();
}

/* What the host returns is zero-extended, which saves the masking of it. */
wring_inline u8 wring_load8(const struct wring_packet *pkt, u32 off)
{
	u32 value = wring_host_pkt_load8(off);

	(void)pkt;
	__builtin_assume(value <= 0xff);
	return (u8)value;
}

wring_inline u16 wring_load16(const struct wring_packet *pkt, u32 off)
{
	u32 value = wring_host_pkt_load16(off);

	(void)pkt;
	__builtin_assume(value <= 0xffff);
	return (u16)value;
}

wring_inline u32 wring_load32(const struct wring_packet *pkt, u32 off)
{
	(void)pkt;
	return wring_host_pkt_load32(off);
}

wring_inline u64 wring_load64(const struct wring_packet *pkt, u32 off)
{
	(void)pkt;
	return wring_host_pkt_load64(off);
}

wring_inline void wring_store8(struct wring_packet *pkt, u32 off, u8 value)
{
	(void)pkt;
	wring_host_pkt_store8(off, value);
}

wring_inline void wring_store16(struct wring_packet *pkt, u32 off, u16 value)
{
	(void)pkt;
	wring_host_pkt_store16(off, value);
}

wring_inline void wring_store32(struct wring_packet *pkt, u32 off, u32 value)
{
	(void)pkt;
	wring_host_pkt_store32(off, value);
}

wring_inline void wring_store64(struct wring_packet *pkt, u32 off, u64 value)
{
	(void)pkt;
	wring_host_pkt_store64(off, value);
}

wring_inline int wring_pkt_read(const struct wring_packet *pkt, u32 off, void *dst, u32 len)
{
	(void)pkt;
	return wring_host_pkt_read(off, dst, len);
}

wring_inline int wring_pkt_write(struct wring_packet *pkt, u32 off, const void *src, u32 len)
{
	(void)pkt;
	return wring_host_pkt_write(off, src, len);
}

/*
 * A header is its offset in pointer's clothing, so that wring_field() can name members. Reading the last byte
 * makes sure that the whole of it is there, as eBPF's comparison does. The offset saturates rather than wraps, to
 * one that no packet has.
 */
wring_inline u32 wring_header_offset(u32 off, u32 bytes)
{
	u32 last = off + bytes - 1;

	wring_host_pkt_load8(last < off ? ~0u : last);
	return off;
}

#define wring_header(pkt, off, type) \
	((void)(pkt), (const type wring_hdr *)(unsigned long)wring_header_offset(off, sizeof(type)))

wring_inline u64 wring_field_load(u32 off, u32 bytes)
{
	switch (bytes) {
	case 1:
		return wring_load8(0, off);
	case 2:
		return wring_load16(0, off);
	case 4:
		return wring_load32(0, off);
	default:
		return wring_load64(0, off);
	}
}

#define wring_field(field)								\
	({										\
		_Static_assert(sizeof(field) == 1 || sizeof(field) == 2 ||		\
			       sizeof(field) == 4 || sizeof(field) == 8,		\
			       "wring_field() takes members of 1, 2, 4 or 8 bytes");	\
		(typeof(field))wring_field_load((u32)(unsigned long)&(field), sizeof(field)); \
	})

/* ---- tracepoints ---- */

#define wring_arg(tp, i) ((void)(tp), wring_host_arg(i))

/* ---- maps ---- */

/*
 * The object is only declared: it carries the types. The section's record is written from within a function because
 * only there can assembly take sizes; the function itself is dropped by the linker.
 */
#define WRING_MAP(name, map_type, key_type, value_type, entries)				\
	extern struct {										\
		key_type *key;									\
		value_type *value;								\
	} name;											\
	__attribute__((import_module("wring_map"), import_name(#name)))				\
	extern u32 wring_map_handle_##name(void);						\
	__attribute__((used, noinline)) static void wring_map_record_##name(void)		\
	{											\
		__asm__ volatile(wring_section("wring.maps")					\
				 ".int32 %0\n\t.int32 %1\n\t.int32 %2\n\t"			\
				 ".int32 %3\n\t.int32 0\n\t"					\
				 ".asciz \"" #name "\"\n\t"					\
				 ".section .text.wring_map_record_" #name ",\"\",@"		\
				 : : "i"(BPF_MAP_TYPE_##map_type), "i"(sizeof(key_type)),	\
				 "i"(sizeof(value_type)), "i"(entries));			\
	}											\
	_Static_assert((entries) > 0, "a map has at least one entry")

#define wring_map_is_counter(map)							\
	_Static_assert(sizeof(*(map).key) == 4 && sizeof(*(map).value) == 8,		\
		       "counters are in maps of u32 keys and u64 values")

#define wring_map_lookup(map, key_ptr, value_ptr)					\
	({										\
		const typeof(*(map).key) *wring_key_ = (key_ptr);			\
		typeof(*(map).value) *wring_value_ = (value_ptr);			\
		(int)wring_host_map_lookup(wring_map_handle_##map(), wring_key_, wring_value_); \
	})

#define wring_map_update(map, key_ptr, value_ptr, flags)				\
	({										\
		const typeof(*(map).key) *wring_key_ = (key_ptr);			\
		const typeof(*(map).value) *wring_value_ = (value_ptr);			\
		(int)wring_host_map_update(wring_map_handle_##map(), wring_key_, wring_value_,	\
					   flags);					\
	})

#define wring_map_delete(map, key_ptr)							\
	({										\
		const typeof(*(map).key) *wring_key_ = (key_ptr);			\
		(int)wring_host_map_delete(wring_map_handle_##map(), wring_key_);	\
	})

#define wring_map_add(map, index, n)							\
	({										\
		wring_map_is_counter(map);						\
		(void)wring_host_map_add(wring_map_handle_##map(), index, 0, n);	\
	})

#define wring_map_load(map, index)							\
	({										\
		wring_map_is_counter(map);						\
		wring_host_map_load64(wring_map_handle_##map(), index, 0);		\
	})

/* ---- the rest ---- */

wring_inline u64 wring_ktime_ns(void)
{
	return wring_host_ktime_ns();
}

wring_inline u32 wring_cpu(void)
{
	return wring_host_cpu_id();
}

wring_inline u64 wring_pid_tgid(void)
{
	return wring_host_pid_tgid();
}

#define wring_log_args(a, b, c, ...) (u64)(a), (u64)(b), (u64)(c)
#define wring_log(format, ...)								\
	({										\
		static const char wring_format_[] = format;				\
		wring_host_log(wring_format_, sizeof(wring_format_) - 1,		\
			       wring_log_args(__VA_ARGS__ __VA_OPT__(,) 0, 0, 0, 0));	\
	})

#endif /* WRING_GUEST_WASM_H */
