/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wring.h - what a C program for a kernel hook is written with; the same source compiles to Wasm and to eBPF.
 *
 *	#include <wring.h>
 *
 *	WRING_LICENSE("GPL");
 *	WRING_MAP(seen, PERCPU_ARRAY, u32, u64, 256);
 *
 *	WRING_XDP(filter, pkt)
 *	{
 *		const struct wring_ipv4 wring_hdr *ip = wring_header(pkt, 14, struct wring_ipv4);
 *
 *		wring_map_add(seen, wring_field(ip->protocol), 1);
 *		return XDP_PASS;
 *	}
 *
 *	clang --target=wasm32 -O2 -nostdlib -mbulk-memory -msign-ext -I wasi-kernel/include -Wl,--no-entry \
 *	      -Wl,--stack-first -Wl,-z,stack-size=16384 -o filter.wasm filter.c
 *	clang --target=bpf -mcpu=v3 -O2 -g -I wasi-kernel/include -c -o filter.bpf.o filter.c
 *
 * Packets. A packet is not part of a Wasm program's memory: it is reached by offset, and an access outside it ends
 * the program; its hook then answers the default verdict (XDP: XDP_PASS). As Wasm that is a trap, counted and
 * named by `wring prog show`, which leaves memory as it is and the stack as it was before; as eBPF it is an `exit`
 * after the usual comparison with data_end, for which the functions that touch packets have to be part of the program
 * itself: declare them wring_inline.
 *
 * Bytes. Fields of packets are big-endian on the wire and are returned as they lie there: compare them with
 * wring_htons(53), convert them with wring_ntohs().
 *
 * A source that eBPF cannot express says so in a comment, "wring: no eBPF twin", and is built as Wasm only.
 */
#ifndef WRING_GUEST_H
#define WRING_GUEST_H

/* The compiler's own names: no C library is needed, nor in the way. */
typedef __UINT8_TYPE__ u8;
typedef __UINT16_TYPE__ u16;
typedef __UINT32_TYPE__ u32;
typedef unsigned long long u64;
typedef __INT8_TYPE__ s8;
typedef __INT16_TYPE__ s16;
typedef __INT32_TYPE__ s32;
typedef long long s64;

/* Functions that take a packet are declared so. */
#define wring_inline static inline __attribute__((always_inline, unused))
#define wring_unused __attribute__((unused))

#define wring_ntohs(x) __builtin_bswap16(x)
#define wring_htons(x) __builtin_bswap16(x)
#define wring_ntohl(x) __builtin_bswap32(x)
#define wring_htonl(x) __builtin_bswap32(x)

/* ---- verdicts ---- */

/* Netfilter's, as in linux/netfilter.h. */
enum wring_nf_verdict { WRING_NF_DROP = 0, WRING_NF_ACCEPT = 1 };

/* linux/bpf.h, if it is wanted too, comes first; these are the parts of it that programs need. */
#ifndef __LINUX_BPF_H__
enum xdp_action { XDP_ABORTED = 0, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_LPM_TRIE = 11,
};
#endif

/* ---- protocol headers ---- */

struct wring_eth {
	u8 dst[6];
	u8 src[6];
	u16 type;		/* WRING_ETH_* after wring_ntohs() */
};

struct wring_vlan {
	u16 tci;
	u16 type;
};

struct wring_ipv4 {
	u8 version_ihl;		/* header length: wring_ipv4_bytes() */
	u8 tos;
	u16 total_len;
	u16 id;
	u16 frag_off;		/* flags in the upper three bits */
	u8 ttl;
	u8 protocol;		/* WRING_IPPROTO_* */
	u16 check;
	u32 saddr;
	u32 daddr;
};

struct wring_ipv6 {
	u32 version_flow;
	u16 payload_len;
	u8 nexthdr;		/* WRING_IPPROTO_* */
	u8 hop_limit;
	u32 saddr[4];
	u32 daddr[4];
};

struct wring_udp {
	u16 source;
	u16 dest;
	u16 len;
	u16 check;
};

struct wring_tcp {
	u16 source;
	u16 dest;
	u32 seq;
	u32 ack_seq;
	u8 data_offset;		/* in the upper four bits, in words */
	u8 flags;
	u16 window;
	u16 check;
	u16 urg_ptr;
};

#define WRING_ETH_IPV4 0x0800
#define WRING_ETH_ARP 0x0806
#define WRING_ETH_VLAN 0x8100
#define WRING_ETH_IPV6 0x86dd
#define WRING_IPPROTO_ICMP 1
#define WRING_IPPROTO_TCP 6
#define WRING_IPPROTO_UDP 17
#define WRING_IPPROTO_ICMPV6 58
#define WRING_IPV4_FRAG_OFFSET 0x1fff	/* of wring_ntohs(frag_off) */

/* Bytes of an IPv4 header whose first byte is `version_ihl`: 0 to 60. */
wring_inline u32 wring_ipv4_bytes(u8 version_ihl)
{
	return (version_ihl & 0x0fu) * 4;
}

/*
 * Marks pointers into packets. They cannot be dereferenced, which the compiler enforces: wring_field() reads
 * what they point to.
 */
#define wring_hdr __attribute__((noderef))
#pragma clang diagnostic error "-Wnoderef"

#ifdef __bpf__
#include "wring_bpf.h"
#else
#include "wring_wasm.h"
#endif

/*
 * Both give the following. `pkt` is the second argument of WRING_XDP or WRING_NETFILTER, `map` the
 * name given to WRING_MAP; every function runs in bounded time and none sleeps.
 *
 * Programs
 *
 *   WRING_XDP(name, pkt) { ... }
 *	returns an enum xdp_action; XDP_REDIRECT is answered with the default, for there is no target.
 *   WRING_NETFILTER(name, pkt) { ... }
 *	returns an enum wring_nf_verdict; the packet starts at its IP header. Wasm only. Stores may change neither
 *	lengths (of headers, of the packet), fragmentation, the protocol nor IPv4 options: such a packet is dropped.
 *   WRING_RAW_TP(tracepoint, name, tp) { ... }
 *	returns 0; wring_arg(tp, i) is the tracepoint's i-th argument as u64 (0 beyond the last).
 *   WRING_LICENSE("GPL");
 *	once per source: what eBPF's helpers require.
 *
 * Packets
 *
 *   u32 wring_pkt_len(pkt)				bytes that can be reached
 *   u8, u16, u32, u64 wring_load8, 16, 32, 64(pkt, off)
 *   void wring_store8, 16, 32, 64(pkt, off, value)
 *   wring_header(pkt, off, type)			a header that is all within the packet,
 *							of type const type wring_hdr *
 *   wring_field(h->member)				a member of 1, 2, 4 or 8 bytes
 *   int wring_pkt_read(pkt, off, dst, len)		copy bytes out of and into the packet: 0, or
 *   int wring_pkt_write(pkt, off, src, len)		negative if they are not all there; len > 0
 *
 * Maps (BPF maps, shared with userspace, eBPF programs and bpftool)
 *
 *   WRING_MAP(name, type, key, value, entries)
 *	type is HASH, ARRAY, ..., as in BPF_MAP_TYPE_* above.
 *   int wring_map_lookup(map, &key, &value)		copies the value: 0, or negative if there is none
 *							(or if it has more than 512 KiB)
 *   int wring_map_update(map, &key, &value, flags)	BPF_ANY, BPF_NOEXIST or BPF_EXIST; 0 or negative.
 *							Values are read in whole 8-byte words
 *							Not at raw tracepoints: LRU maps and LPM tries
 *   int wring_map_delete(map, &key)			Likewise
 *   void wring_map_add(map, index, n)			adds n to a counter, if it exists: maps of u32
 *							keys and u64 values. Atomic except per CPU
 *   u64 wring_map_load(map, index)			that counter (per CPU: this CPU's), or 0
 *
 * The rest
 *
 *   u64 wring_ktime_ns(void)				CLOCK_MONOTONIC
 *   u32 wring_cpu(void)				the CPU the program runs on
 *   u64 wring_pid_tgid(void)				raw tracepoints: process id << 32 | thread id
 *   void wring_log("format", ...)			a line for trace_pipe, rate-limited, with up to three
 *							integers: %d %u %x, %lld %llu %llx, %c, %%
 */

#endif /* WRING_GUEST_H */
