/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mem.h - memory of programs: accounts, linear memories, executable memory, stacks.
 */
#ifndef WRING_MEM_H
#define WRING_MEM_H

#include <linux/gfp.h>
#include <linux/types.h>

struct obj_cgroup;
struct wring_code;
struct wring_report;
struct wring_text;

/* ---- charge.c: memory cgroups ---- */

/* The caller's account, or NULL if nobody counts; to be put, when nothing is charged to it any more. */
struct obj_cgroup *wring_charge_owner(void);
void wring_charge_put(struct obj_cgroup *owner);
/* Whole pages, any number. 0, or -ENOMEM if the cgroup is at its limit. May sleep. */
int wring_charge(struct obj_cgroup *owner, size_t bytes);
void wring_uncharge(struct obj_cgroup *owner, size_t bytes);

/* ---- linear_mem.c: wring_os_memory_*, wring_os_table_* ---- */

/* Module exit: gives pooled reservations back; none may be in use. May sleep. */
void wring_memory_exit(void);
/* Reservations in use, and kept for reuse. Any context. */
void wring_memory_count(u32 *used, u32 *pooled);

/* ---- code_mem.c: executable memory ---- */

/*
 * Places the code of a module: allocates executable memory, has the image written and relocated there, adds its
 * exception table and its symbol bpf_prog_<tag>_<name>, and leaves it read-only and executable. The text is freed
 * when the engine releases the code (wring_code_on_release), after an RCU grace period. Returns 0 or a negative
 * errno with the report filled in; either way the code stays the caller's. May sleep; needs CAP_BPF.
 */
int wring_text_place(struct wring_code *code, const char *name, const u8 tag[8],
		     struct wring_text **out, struct wring_report *report);
/* Address and size of the image. Any context. */
void *wring_text_address(const struct wring_text *text);
size_t wring_text_bytes(const struct wring_text *text);
/* Executable bytes in use by the module, tables included. Any context. */
u64 wring_text_total(void);

/* ---- stack.c ---- */

/*
 * Stacks for programs to run on, zeroed: NULL without memory. With WRING_GFP the caller is charged. wring_stack_free
 * takes NULL. May sleep.
 */
void *wring_stack_alloc(u32 bytes, gfp_t gfp);
void wring_stack_free(void *stack);

#endif /* WRING_MEM_H */
