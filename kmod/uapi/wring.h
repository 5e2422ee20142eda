/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * wring.h - the userspace interface of /dev/wring: load, run, attach and inspect WebAssembly programs.
 *
 * Every command is an ioctl whose argument is one struct. The struct's size is part of the command's number,
 * and structs only ever grow at the end: a kernel that knows fewer fields than the caller accepts the
 * longer struct if what it does not know is zero (else E2BIG); fields a caller does not know read as zero.
 * Unknown flags, non-zero padding and reserved fields are EINVAL. Pointers are u64, so that 32-bit callers
 * on a 64-bit kernel use the same layout.
 *
 * Commands on /dev/wring itself (mode 0600, and CAP_BPF or CAP_SYS_ADMIN to open): WRING_IOC_FEATURES to
 * WRING_IOC_INSTANCE_NEW and the link commands. Commands on the fd of a program or instance are marked so.
 *
 * A failing command returns -1 with errno set. Commands with an `error` pointer also explain the failure
 * there, as a struct wring_error_info.
 */
#ifndef _UAPI_WRING_H
#define _UAPI_WRING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define WRING_DEVICE		"/dev/wring"
#define WRING_NAME_LEN		64	/* names of programs and maps, with the terminating NUL */
#define WRING_EXPORT_LEN	128	/* names of exports, with the terminating NUL */
#define WRING_NO_INDEX_U32	0xffffffffu

/* ---- errors ---- */

/* Kinds, as in struct wring_error_info; errno of the command in brackets. */
enum wring_error_kind {
	WRING_ERROR_NONE,
	WRING_ERROR_NOMEM,		/* out of memory or over the memory cgroup's limit [ENOMEM] */
	WRING_ERROR_MALFORMED,		/* the binary cannot be decoded [ENOEXEC] */
	WRING_ERROR_INVALID,		/* the binary fails validation [EINVAL] */
	WRING_ERROR_UNSUPPORTED,	/* a feature the engine lacks [EOPNOTSUPP] */
	WRING_ERROR_LIMIT,		/* a limit is exceeded [EFBIG] */
	WRING_ERROR_LINK,		/* an import is missing or has another type [ENOLINK] */
	WRING_ERROR_TRAP,		/* initialization or the start function trapped [ECANCELED] */
	WRING_ERROR_INTERRUPTED,	/* the caller is being killed [EINTR] */
	WRING_ERROR_REQUEST,		/* the command itself is at fault: any other errno */
	WRING_ERROR_INTERNAL,		/* the engine is at fault, see its message [EIO] */
};

struct wring_error_info {
	__u32 kind;		/* enum wring_error_kind */
	__u32 func;		/* function index, or WRING_NO_INDEX_U32 */
	__u32 offset;		/* byte offset in the module, or WRING_NO_INDEX_U32 */
	__u32 trap;		/* WRING_ERROR_TRAP: enum wring_trap_reason (its text is in the message), else 0 */
	char message[240];	/* one line, NUL-terminated */
};

/* ---- WRING_IOC_FEATURES ---- */

struct wring_features {
	__u32 abi;		/* out: version of this interface */
	__u32 cpu;		/* out: WRING_CPU_*: what of this CPU the compiler uses */
	__u32 mitigations;	/* out: WRING_MITIGATION_* in effect for generated code */
	__u32 prog_types;	/* out: bit n: programs of type n can be loaded */
	__u32 link_types;	/* out: bit n: such programs can be attached */
	__u32 programs;		/* out: programs now loaded */
	__u32 reservations;	/* out: linear memory reservations in use */
	__u32 reservations_pooled; /* out: and kept for reuse */
	__aligned_u64 code_bytes;	/* out: executable memory in use */
	__aligned_u64 reserved;
	__aligned_u64 internal_errors;	/* out: faults of the engine itself since it was loaded */
	__u32 loads;		/* out: enum wring_loads */
	__u32 unused;		/* out: 0 */
};
#define WRING_ABI_VERSION	1

/* Whether programs and instances may be loaded: the module parameter `loads`, and the sysctl wring.loads. */
enum wring_loads {
	WRING_LOADS_ALLOWED,
	WRING_LOADS_REFUSED,
	WRING_LOADS_LOCKED,	/* refused until the module is loaded anew */
};

#define WRING_CPU_BMI1		(1u << 0)
#define WRING_CPU_BMI2		(1u << 1)
#define WRING_CPU_LZCNT		(1u << 2)
#define WRING_CPU_POPCNT	(1u << 3)
#define WRING_CPU_MOVBE		(1u << 4)
#define WRING_CPU_SSE41		(1u << 5)
#define WRING_CPU_AVX		(1u << 6)
#define WRING_CPU_AVX2		(1u << 7)

#define WRING_MITIGATION_RETPOLINE	(1u << 0)
#define WRING_MITIGATION_RETURN_THUNK	(1u << 1)
#define WRING_MITIGATION_SLS		(1u << 2)
#define WRING_MITIGATION_IBT		(1u << 3)
#define WRING_MITIGATION_BLINDING	(1u << 4)
/* In what the caller loads, bounds checks hold under speculation: unless it has CAP_PERFMON or mitigations are off. */
#define WRING_MITIGATION_CLAMPS		(1u << 5)

/* ---- WRING_IOC_PROG_LOAD ---- */

enum wring_prog_type {
	WRING_PROG_MODULE,	/* not for a hook: exports are run with WRING_IOC_INVOKE */
	WRING_PROG_XDP,
	WRING_PROG_RAW_TRACEPOINT,
	WRING_PROG_NETFILTER,
};

/* A BPF map the program imports by name. */
struct wring_map_ref {
	char name[WRING_NAME_LEN];
	__s32 fd;
	__u32 flags;		/* must be 0 */
};

/* The program stays loaded after its last fd is closed, until WRING_IOC_PROG_UNLOAD. */
#define WRING_PROG_F_KEEP		(1u << 0)
/* default_verdict is given; without it the hook's own applies. */
#define WRING_PROG_F_DEFAULT_VERDICT	(1u << 1)
/* Bounds checks hold under speculation. In: although the loader has CAP_PERFMON. Out: whether they do. */
#define WRING_PROG_F_CLAMPED		(1u << 2)

/* Returns a program fd (O_CLOEXEC). EPERM while wring.loads refuses it, as WRING_IOC_INSTANCE_NEW. */
struct wring_prog_load {
	__aligned_u64 module;		/* in: the WebAssembly binary */
	__aligned_u64 module_bytes;
	__aligned_u64 maps;		/* in: struct wring_map_ref[map_count] */
	__u32 map_count;
	__u32 type;		/* in: enum wring_prog_type */
	__u32 flags;		/* in: WRING_PROG_F_* */
	__u32 default_verdict;	/* in: with WRING_PROG_F_DEFAULT_VERDICT */
	__u32 max_memory_pages;	/* in: limit of the linear memory, in 64 KiB pages; 0: the default */
	__u32 max_table_entries; /* in: limit per table; 0: the default */
	__u32 max_code_bytes;	/* in: limit of the machine code; 0: the default */
	/* in: whole pages; 0: the default. At hooks, more than that is a stack of the program's own */
	__u32 stack_bytes;
	__aligned_u64 fuel;		/* in: of one invocation, about a unit an instruction; 0: the default */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;	/* in: room there */
	__u32 id;		/* out */
	char name[WRING_NAME_LEN]; /* in: NUL-terminated; letters, digits, '_', '.' and '-', at least one */
	/* in: the exported function to run at the hook; "": the only one that could be */
	char entry[WRING_EXPORT_LEN];
	/* in: hooks: how long an invocation may take, in microseconds (in NMIs never more than 250); 0: the default */
	__u32 time_us;
	__u32 on_trap;		/* in: hooks: enum wring_on_trap */
	/* in: hooks: the program is detached from everything after so many traps (with WRING_ON_TRAP_DETACH; 0: 1) */
	__u32 trap_limit;
	__u32 timeout_limit;	/* in: hooks: or after so many that were out of time or of fuel; 0: never */
};

/* What becomes of a hook's program that traps. In any case the hook answers the default verdict, at once. */
enum wring_on_trap {
	WRING_ON_TRAP_KEEP,	/* memory and globals stay as they are, but for shadow stack pointers */
	/* The CPU's instance is made anew, start function and all; until that is done invocations there are misses. */
	WRING_ON_TRAP_RESET,
	WRING_ON_TRAP_DETACH,	/* as KEEP; detached by the trap_limit-th trap */
};

/* ---- programs by id: CAP_SYS_ADMIN ---- */

/* Also of links. The smallest id above `id`; ENOENT after the last. */
struct wring_next_id {
	__u32 id;		/* in, out */
	__u32 flags;		/* must be 0 */
};

/* Returns a program fd (O_CLOEXEC). */
struct wring_prog_open {
	__u32 id;
	__u32 flags;		/* must be 0 */
};

/* ---- WRING_IOC_PROG_INFO (program fd) ---- */

#define WRING_MAX_FRAMES	16

struct wring_frame {
	__u32 func;		/* function index */
	__u32 offset;		/* byte offset in the module */
	char name[WRING_NAME_LEN]; /* from the name section, shortened; "" if it has none */
};

struct wring_trap_info {
	__aligned_u64 time_ns;		/* CLOCK_MONOTONIC; 0: there was no trap */
	__u32 reason;		/* enum wring_trap_reason */
	__u32 cpu;
	__u32 frame_count;
	__u32 reserved;
	char text[64];
	struct wring_frame frames[WRING_MAX_FRAMES];	/* innermost first */
};

struct wring_prog_info {
	__u32 id;
	__u32 type;
	__u32 flags;		/* WRING_PROG_F_* */
	__u32 default_verdict;
	__aligned_u64 load_time_ns;	/* CLOCK_BOOTTIME */
	__aligned_u64 compile_ns;	/* what decoding, validating and compiling took */
	__aligned_u64 module_bytes;
	__aligned_u64 code_bytes;	/* machine code and its constants */
	__aligned_u64 code_address;	/* 0 unless the caller may see kernel addresses */
	__aligned_u64 linmem_bytes;	/* linear memory, all CPUs */
	__aligned_u64 fuel;		/* budget of one invocation */
	__aligned_u64 runs;		/* invocations that have ended, wherever they came from; no misses */
	__aligned_u64 fuel_used;	/* by those */
	__aligned_u64 traps;
	__aligned_u64 misses;		/* invocations that did not run the program, for any of the reasons below */
	__aligned_u64 bad_verdicts;	/* verdicts outside the hook's range */
	__u32 instances;	/* one per possible CPU, or one */
	__u32 links;		/* attachments */
	__u32 map_count;
	__u32 uid;		/* of the loader */
	__u8 tag[8];		/* first bytes of the binary's SHA-256 */
	char name[WRING_NAME_LEN];
	char entry[WRING_EXPORT_LEN];
	__u32 map_room;		/* in: entries that fit at map_ids */
	__u32 reserved;
	__aligned_u64 map_ids;		/* in: __u32[map_room]; out: ids of the first maps */
	struct wring_trap_info trap;	/* the last one */
	__aligned_u64 misses_busy;	/* it was running on this CPU, and interrupted */
	__aligned_u64 misses_fpu;	/* it uses floats or vectors, and what it interrupts may be doing so too */
	__aligned_u64 misses_depth;	/* nested too deep on this CPU, or when the time of those around was over */
	__u32 time_us;		/* what an invocation may take; 0: as long as its fuel lasts */
	__u32 on_trap;		/* enum wring_on_trap */
	__aligned_u64 misses_reset;	/* its instance there was being made anew, after a trap */
	__aligned_u64 misses_read_only;	/* it stores into packets, and that one could not be made writable */
	__aligned_u64 run_time_ns;	/* at hooks, while the sysctl kernel.bpf_stats_enabled was set */
	__u32 trap_limit;	/* as it was loaded; 0: none */
	__u32 timeout_limit;
};

/* ---- WRING_IOC_PROG_CODE (program fd) ---- */

/* The machine code as it lies in memory, for disassembly. CAP_SYS_ADMIN. */
struct wring_prog_code {
	__aligned_u64 buffer;		/* in */
	__aligned_u64 bytes;		/* in: room; out: size of the code, copied as far as it fits */
	__aligned_u64 address;		/* out */
	__aligned_u64 reserved;
};

/* ---- WRING_IOC_PROG_MODULE (program fd) ---- */

/* The WebAssembly binary, as it was loaded. */
struct wring_prog_module {
	__aligned_u64 buffer;		/* in */
	__aligned_u64 bytes;		/* in: room; out: size of the module, copied as far as it fits */
	__aligned_u64 reserved;
};

/* ---- WRING_IOC_PROG_UNLOAD (program fd) ---- */

/*
 * Takes WRING_PROG_F_KEEP back: the program goes with its last fd and link. EBUSY while it is attached. Needs the
 * capabilities that loading needs.
 */
struct wring_prog_unload {
	__u32 flags;		/* must be 0 */
	__u32 reserved;
};

/*
 * ---- WRING_IOC_PROG_RUN (program fd): one hook invocation, or many, on given input. Needs the capabilities that
 * loading needs ----
 */

struct wring_prog_run {
	__aligned_u64 data_in;		/* packet hooks: the packet; raw tracepoints: __u64 arguments */
	__aligned_u64 data_out;		/* packet afterwards, or NULL */
	__u32 data_in_bytes;
	__u32 data_out_bytes;	/* in: room; out: size of the packet, copied as far as it fits */
	__u32 repeat;		/* 0 and 1: once */
	__u32 flags;		/* must be 0 */
	__u32 verdict;		/* out: of the last run */
	__u32 trap;		/* out: enum wring_trap_reason of the last run */
	__aligned_u64 duration_ns;	/* out: average */
	__aligned_u64 fuel_used;	/* out: of the last run */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	__u32 reserved;
};

/* ---- WRING_IOC_INSTANCE_NEW ---- */

/* What satisfies one import: an export of another instance of this /dev/wring open file, or the kernel. */
struct wring_import {
	__s32 instance_fd;	/* -1: a host function of the import's names */
	__u32 export_index;	/* in the export section of that instance's module */
};

/* Only decode and validate the module: no imports are given, nothing is compiled, no fd is returned. */
#define WRING_INSTANCE_F_VALIDATE	(1u << 0)

/* What modules may contain. */
#define WRING_WASM_2		(1u << 0)	/* implied */
#define WRING_WASM_3		(1u << 1)	/* but for types of garbage collection */
#define WRING_WASM_THREADS	(1u << 2)	/* atomics and shared memories */

/* Returns an instance fd (O_CLOEXEC); instances of one open file can be linked to each other. */
struct wring_instance_new {
	__aligned_u64 module;		/* in: the WebAssembly binary */
	__aligned_u64 module_bytes;
	__aligned_u64 imports;		/* in: struct wring_import[import_count], one per import of the module */
	__u32 import_count;
	__u32 flags;		/* in: WRING_INSTANCE_F_* */
	__aligned_u64 fuel;		/* in: budget of the start function; 0: the default */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	/* in: WRING_WASM_*; 0: all. An open file's first instance settles it for those that follow. */
	__u32 features;
};

/* ---- WRING_IOC_INVOKE (instance fd, or fd of a WRING_PROG_MODULE program): CAP_BPF ---- */

/*
 * A trap of the guest is not a failure of the command: it returns 0 with `trap` set. Values are 64 bits each,
 * v128 takes two, the low one first; i32 and f32 (its bits) are zero-extended. Null references are 0. An externref
 * holds any value that is not 0. Other references can only be null as arguments; a result that is not null is 1.
 */
struct wring_invoke {
	__aligned_u64 name;		/* in: the export's name (bytes, no NUL), or NULL to use export_index */
	__u32 name_bytes;
	__u32 export_index;	/* in: index in the export section; out: the one that was used */
	__aligned_u64 args;		/* in: __u64[arg_count] */
	__aligned_u64 results;		/* out: __u64[result_count] */
	__u32 arg_count;	/* in: must be what the function takes */
	__u32 result_count;	/* in: room; out: how many there are; ENOSPC, and no call, if they do not fit */
	__u32 flags;		/* must be 0 */
	__u32 trap;		/* out: enum wring_trap_reason, 0: none */
	__aligned_u64 fuel;		/* in: budget, 0: the default; out: what was used */
	__aligned_u64 error;		/* out: struct wring_error_info with the trap's function and offset, or NULL */
	__u32 error_bytes;
	__u32 reserved;
};

/* ---- WRING_IOC_EXPORT_GET (instance fd, or fd of a WRING_PROG_MODULE program) ---- */

/* Describes an export; of a global also its value. */
struct wring_export_get {
	__aligned_u64 name;		/* in: as in struct wring_invoke */
	__u32 name_bytes;
	__u32 export_index;	/* in, out */
	__u32 kind;		/* out: 0 function, 1 table, 2 memory, 3 global, 4 tag */
	__u32 flags;		/* must be 0 */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	__u32 reserved;
	__aligned_u64 value[2];		/* out: of globals, as in struct wring_invoke */
	/*
	 * out: types of functions as letters: i l f d v (i32 i64 f32 f64 v128) F X E (references to functions, of
	 * the host, to exceptions), "?" in place of what does not fit; of globals, `results` is the type and
	 * `params` "m" if it is mutable
	 */
	char params[32];
	char results[32];
};

/* ---- links: a program attached to a hook ---- */

#define WRING_TARGET_LEN	128

/* prog_fd is given, the link's program's: it stands for CAP_SYS_ADMIN. Other programs' links are ENOENT. */
#define WRING_LINK_F_PROG_FD	(1u << 0)
/* WRING_IOC_LINK_DETACH: all links there are, of whatever program. CAP_SYS_ADMIN. */
#define WRING_LINK_F_ALL	(1u << 1)

/* Where a program is attached, by its type. */
struct wring_attach_xdp {
	__s32 stub_fd;		/* the eBPF program (BPF_PROG_TYPE_XDP) that it stands in for */
	__u32 ifindex;		/* for display, or 0; and the interface's name, or "" */
	char devname[WRING_TARGET_LEN];
};
struct wring_attach_rawtp {
	char tp_name[WRING_TARGET_LEN];
};
struct wring_attach_netfilter {	/* in the caller's network namespace; see linux/netfilter.h */
	__u32 pf;		/* NFPROTO_IPV4, NFPROTO_IPV6, or NFPROTO_INET: both */
	__u32 hooknum;		/* NF_INET_* */
	__s32 priority;
};

/* Needs the hook's capability (CAP_NET_ADMIN or CAP_PERFMON). */
struct wring_link_attach {
	__s32 prog_fd;		/* in */
	__u32 flags;		/* must be 0 */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	__u32 id;		/* out */
	/* in: what the program's type says; the rest must be 0 */
	union {
		struct wring_attach_xdp xdp;
		struct wring_attach_rawtp rawtp;
		struct wring_attach_netfilter netfilter;
		__aligned_u64 room[32];
	};
};

/*
 * Needs CAP_SYS_ADMIN or, with WRING_LINK_F_PROG_FD, the hook's capability. When it returns, no program runs any more
 * through what was detached.
 */
struct wring_link_detach {
	__u32 id;		/* in: 0 with WRING_LINK_F_ALL */
	__u32 flags;		/* in: WRING_LINK_F_* */
	__s32 prog_fd;		/* in: with WRING_LINK_F_PROG_FD, else 0 */
	__u32 detached;		/* out: how many links */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	__u32 reserved;
};

/* Where it is attached, by `type`. */
struct wring_link_xdp {
	__u32 stub_id;		/* BPF id of the stub */
	__u32 ifindex;
	char devname[WRING_TARGET_LEN];
};
struct wring_link_rawtp {
	char tp_name[WRING_TARGET_LEN];
};
struct wring_link_netfilter {
	__u32 pf;
	__u32 hooknum;
	__s32 priority;
	__u32 reserved;
	__aligned_u64 netns_ino;	/* the network namespace's inode number */
};

/* Needs CAP_SYS_ADMIN, or WRING_LINK_F_PROG_FD. */
struct wring_link_info {
	__u32 id;		/* in */
	__u32 flags;		/* in: WRING_LINK_F_PROG_FD */
	__s32 prog_fd;		/* in: with it, else 0 */
	__u32 reserved;		/* must be 0 */
	__aligned_u64 error;		/* out: struct wring_error_info, or NULL */
	__u32 error_bytes;
	__u32 type;		/* out: enum wring_prog_type */
	__u32 prog_id;		/* out */
	__u32 unused;		/* out: 0 */
	/* out: what the type says, the rest is 0 */
	union {
		struct wring_link_xdp xdp;
		struct wring_link_rawtp rawtp;
		struct wring_link_netfilter netfilter;
		__aligned_u64 room[32];
	};
};

/* ---- commands ---- */

#define WRING_IOC_MAGIC			0xB5
#define WRING_IOC_FEATURES		_IOWR(WRING_IOC_MAGIC, 0x00, struct wring_features)
#define WRING_IOC_PROG_LOAD		_IOWR(WRING_IOC_MAGIC, 0x01, struct wring_prog_load)
#define WRING_IOC_PROG_NEXT_ID		_IOWR(WRING_IOC_MAGIC, 0x02, struct wring_next_id)
#define WRING_IOC_PROG_OPEN		_IOWR(WRING_IOC_MAGIC, 0x03, struct wring_prog_open)
#define WRING_IOC_INSTANCE_NEW		_IOWR(WRING_IOC_MAGIC, 0x04, struct wring_instance_new)
#define WRING_IOC_LINK_ATTACH		_IOWR(WRING_IOC_MAGIC, 0x10, struct wring_link_attach)
#define WRING_IOC_LINK_DETACH		_IOWR(WRING_IOC_MAGIC, 0x11, struct wring_link_detach)
#define WRING_IOC_LINK_NEXT_ID		_IOWR(WRING_IOC_MAGIC, 0x12, struct wring_next_id)
#define WRING_IOC_LINK_INFO		_IOWR(WRING_IOC_MAGIC, 0x13, struct wring_link_info)
/* on the fd of a program (or, where said above, an instance) */
#define WRING_IOC_PROG_INFO		_IOWR(WRING_IOC_MAGIC, 0x20, struct wring_prog_info)
#define WRING_IOC_PROG_CODE		_IOWR(WRING_IOC_MAGIC, 0x21, struct wring_prog_code)
#define WRING_IOC_PROG_UNLOAD		_IOWR(WRING_IOC_MAGIC, 0x22, struct wring_prog_unload)
#define WRING_IOC_PROG_RUN		_IOWR(WRING_IOC_MAGIC, 0x23, struct wring_prog_run)
#define WRING_IOC_INVOKE		_IOWR(WRING_IOC_MAGIC, 0x24, struct wring_invoke)
#define WRING_IOC_EXPORT_GET		_IOWR(WRING_IOC_MAGIC, 0x25, struct wring_export_get)
#define WRING_IOC_PROG_MODULE		_IOWR(WRING_IOC_MAGIC, 0x26, struct wring_prog_module)

#endif /* _UAPI_WRING_H */
