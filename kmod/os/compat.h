/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - every difference between the supported kernels, by version or configuration.
 */
#ifndef WRING_COMPAT_H
#define WRING_COMPAT_H

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include <asm/smp.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#include <asm/current.h>
#endif

/* 6.2 moved the CPU's number and the count of what forbids preemption into pcpu_hot. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define WRING_PERCPU_CPU_NUMBER pcpu_hot.cpu_number
#define WRING_PERCPU_PREEMPT_COUNT pcpu_hot.preempt_count
#else
#define WRING_PERCPU_CPU_NUMBER cpu_number
#define WRING_PERCPU_PREEMPT_COUNT __preempt_count
#endif

/* 6.9 has a flag for areas that are mapped piecemeal: /proc/kcore leaves them alone. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#define WRING_VM_RESERVATION VM_SPARSE
#else
#define WRING_VM_RESERVATION VM_MAP
#endif

/* 6.11 made kernel memory part of the memory controller. */
#if IS_ENABLED(CONFIG_MEMCG_KMEM) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0) && IS_ENABLED(CONFIG_MEMCG))
#define WRING_HAS_MEMCG 1
#else
#define WRING_HAS_MEMCG 0
#endif

/* 6.7: looking up the caller's account does not take a reference, an inline function around it does. */
#define WRING_CURRENT_OBJ_CGROUP (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0))

/* 6.9 renamed the mitigations' options. */
#if IS_ENABLED(CONFIG_MITIGATION_SLS) || IS_ENABLED(CONFIG_SLS)
#define WRING_KERNEL_SLS 1
#else
#define WRING_KERNEL_SLS 0
#endif
#if IS_ENABLED(CONFIG_MITIGATION_RETHUNK) || IS_ENABLED(CONFIG_RETHUNK)
#define WRING_KERNEL_RETHUNK 1
#else
#define WRING_KERNEL_RETHUNK 0
#endif

/* 6.10: the glue that runs eBPF at raw tracepoints is given a link rather than a program. */
#define WRING_RAW_TP_RUNS_LINK (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0))

/* 6.10: the source of a trace event's string is only named where the string is declared. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define WRING_ASSIGN_STR(dst, src) __assign_str(dst)
#else
#define WRING_ASSIGN_STR(dst, src) __assign_str(dst, src)
#endif

/* 6.4 has netfilter programs of its own; before, the nearest are the other ones that see packets of all protocols. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define WRING_BPF_TYPE_NETFILTER BPF_PROG_TYPE_NETFILTER
#else
#define WRING_BPF_TYPE_NETFILTER BPF_PROG_TYPE_SCHED_CLS
#endif

/* 6.6: tables of sysctls know their size, and no empty entry need end them; 6.11: handlers may not change them. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define WRING_CTL_TABLE_END
#else
#define WRING_CTL_TABLE_END {}
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define WRING_CTL_TABLE const struct ctl_table
#else
#define WRING_CTL_TABLE struct ctl_table
#endif

/* 6.2 describes by records what of a map's values is the kernel's: locks, timers, pointers. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define WRING_MAP_HAS_SPECIAL_FIELDS(map) (!IS_ERR_OR_NULL((map)->record))
#else
#define WRING_MAP_HAS_SPECIAL_FIELDS(map) \
	(map_value_has_spin_lock(map) || map_value_has_timer(map) || map_value_has_kptrs(map))
#endif

#endif /* WRING_COMPAT_H */
