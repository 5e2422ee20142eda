/* SPDX-License-Identifier: GPL-2.0 */
/*
 * programs.h - commands on /dev/wring that make, find and open programs, and programs' own files.
 */
#ifndef WRING_DEVICE_PROGRAMS_H
#define WRING_DEVICE_PROGRAMS_H

struct wring_call;
struct wring_program;

/* ---- program_load.c: handlers of commands of /dev/wring, whose caller has CAP_BPF ---- */

int wring_program_load(struct wring_call *call, void *arg);
void wring_program_load_undo(struct wring_call *call, void *arg);
int wring_program_next_id(struct wring_call *call, void *arg);
int wring_program_open(struct wring_call *call, void *arg);

/* ---- program_file.c ---- */

/* A file for the call. 0, and the caller's reference is the file's, or a negative errno with the report filled in. */
int wring_program_file_new(struct wring_call *call, struct wring_program *program);
/* The program of a program fd of the calling process, with a reference, or an ERR_PTR: -EBADF, -EINVAL. */
struct wring_program *wring_program_get_fd(int fd);

#endif /* WRING_DEVICE_PROGRAMS_H */
