/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ksyms.h - kernel functions and variables that are not exported, as wring_k_<name>; the table is ksyms.def.
 */
#ifndef WRING_KSYMS_H
#define WRING_KSYMS_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/pgtable.h>

#include "os/compat.h"

struct bpf_prog;
struct bpf_raw_event_map;
struct cred;
struct obj_cgroup;
struct page;
struct rethook_node;
struct vm_struct;
union bpf_attr;

#define KSYM_FUNC(result, name, params, reason) result wring_k_##name params;
#define KSYM_DATA(type, name, reason) extern type *wring_k_##name;
#define KSYM_DATA_OPTIONAL(type, name, reason) KSYM_DATA(type, name, reason)
#include "os/ksyms.def"
#undef KSYM_FUNC
#undef KSYM_DATA
#undef KSYM_DATA_OPTIONAL

/*
 * Finds every symbol of ksyms.def; nothing above may be used before. May sleep. Returns 0 or -ENOENT after
 * naming in the log what is missing.
 */
int wring_ksyms_init(void);

#endif /* WRING_KSYMS_H */
