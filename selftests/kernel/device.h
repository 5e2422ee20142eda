/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device.h - /dev/wring as tests use it: commands that return a result or -errno, and what the kernel has in use.
 */
#ifndef WRING_SELFTESTS_DEVICE_H
#define WRING_SELFTESTS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/wring.h"

/* The last failure's (or trap's) explanation. */
extern struct wring_error_info device_error;

/* An open /dev/wring; ends the program (skipped) if there is none. */
int device_open(void);
/* ioctl that returns -errno. */
int device_ioctl(int fd, unsigned long command, void *arg);

/* Loads a WRING_PROG_MODULE program called `name`; adjusts nothing of *load but the module and the error buffer. */
int device_load(int device, const void *module, size_t size, struct wring_prog_load *load);
/* The usual case: a program fd or -errno. */
int device_load_module(int device, const char *name, const void *module, size_t size);
/* An instance fd or -errno. */
int device_instance(int device, const void *module, size_t size, const struct wring_import *imports,
		    uint32_t import_count);

/*
 * Calls an export with up to 8 arguments, the first result into *result (may be NULL). Returns 0, the trap
 * reason (positive) or -errno.
 */
int device_invoke(int fd, const char *export, const uint64_t *args, uint32_t arg_count,
		  uint64_t *result);
/* Likewise, with a budget; what was used is left in *fuel. */
int device_invoke_fuel(int fd, const char *export, const uint64_t *args, uint32_t arg_count,
		       uint64_t *result, uint64_t *fuel);

/* Writes to a file of the kernel's that is there; whether all of it was taken. */
bool write_file(const char *path, const char *text);
/* The number in a file of the kernel's, or with `key` the one behind it at the beginning of a line; -1: none. */
long read_number(const char *path, const char *key);

struct device_usage {
	struct wring_features features;
	long slab_kb;		/* SUnreclaim */
	long vmalloc_kb;	/* VmallocUsed */
	long percpu_kb;
};
/* Waits until deferred frees are through (programs == wanted, code_bytes == wanted's) or some seconds have passed. */
bool device_settle(int device, const struct wring_features *wanted);
void device_usage(int device, struct device_usage *usage);
/* Tests that the kernel's memory is back to what it was, but for what its allocators keep. */
void device_usage_is_back(const struct device_usage *before, const struct device_usage *after);

#endif
