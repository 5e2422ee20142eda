// SPDX-License-Identifier: GPL-2.0
/*
 * device.c - helpers for tests of /dev/wring, see device.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"
#include "tap.h"

struct wring_error_info device_error;

int device_open(void)
{
	int fd = open(WRING_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		tap_skip_all("no %s: %s", WRING_DEVICE, strerror(errno));
	return fd;
}

int device_ioctl(int fd, unsigned long command, void *arg)
{
	int ret = ioctl(fd, command, arg);

	return ret < 0 ? -errno : ret;
}

int device_load(int device, const void *module, size_t size, struct wring_prog_load *load)
{
	memset(&device_error, 0, sizeof(device_error));
	load->module = (uintptr_t)module;
	load->module_bytes = size;
	load->error = (uintptr_t)&device_error;
	load->error_bytes = sizeof(device_error);
	return device_ioctl(device, WRING_IOC_PROG_LOAD, load);
}

int device_load_module(int device, const char *name, const void *module, size_t size)
{
	struct wring_prog_load load = { .type = WRING_PROG_MODULE };

	snprintf(load.name, sizeof(load.name), "%s", name);
	return device_load(device, module, size, &load);
}

int device_instance(int device, const void *module, size_t size, const struct wring_import *imports,
		    uint32_t import_count)
{
	struct wring_instance_new new = {
		.module = (uintptr_t)module,
		.module_bytes = size,
		.imports = (uintptr_t)imports,
		.import_count = import_count,
		.error = (uintptr_t)&device_error,
		.error_bytes = sizeof(device_error),
	};

	memset(&device_error, 0, sizeof(device_error));
	return device_ioctl(device, WRING_IOC_INSTANCE_NEW, &new);
}

int device_invoke_fuel(int fd, const char *export, const uint64_t *args, uint32_t arg_count,
		       uint64_t *result, uint64_t *fuel)
{
	uint64_t results[8] = {};
	struct wring_invoke invoke = {
		.name = (uintptr_t)export,
		.name_bytes = strlen(export),
		.args = (uintptr_t)args,
		.arg_count = arg_count,
		.results = (uintptr_t)results,
		.result_count = 8,
		.fuel = *fuel,
		.error = (uintptr_t)&device_error,
		.error_bytes = sizeof(device_error),
	};
	int err;

	memset(&device_error, 0, sizeof(device_error));
	err = device_ioctl(fd, WRING_IOC_INVOKE, &invoke);
	if (err)
		return err;
	*fuel = invoke.fuel;
	if (result)
		*result = results[0];
	return invoke.trap;
}

int device_invoke(int fd, const char *export, const uint64_t *args, uint32_t arg_count,
		  uint64_t *result)
{
	uint64_t fuel = 0;

	return device_invoke_fuel(fd, export, args, arg_count, result, &fuel);
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

long read_number(const char *path, const char *key)
{
	FILE *stream = fopen(path, "r");
	char line[128];
	long value = -1;

	while (stream && fgets(line, sizeof(line), stream)) {
		if (!key)
			value = atol(line);
		else if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ' ')
			value = atol(line + strlen(key));
	}
	if (stream)
		fclose(stream);
	return value;
}

static long meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[256];
	long value = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, "%ld", &value);
	}
	if (file)
		fclose(file);
	return value;
}

static void features(int device, struct wring_features *features)
{
	int err;

	memset(features, 0, sizeof(*features));
	err = device_ioctl(device, WRING_IOC_FEATURES, features);
	if (err)
		tap_bail("WRING_IOC_FEATURES: %s", strerror(-err));
}

void device_usage(int device, struct device_usage *usage)
{
	features(device, &usage->features);
	usage->slab_kb = meminfo("SUnreclaim");
	usage->vmalloc_kb = meminfo("VmallocUsed");
	usage->percpu_kb = meminfo("Percpu");
}

void device_usage_is_back(const struct device_usage *before, const struct device_usage *after)
{
	tap_note("slab %ld -> %ld KiB, vmalloc %ld -> %ld KiB, percpu %ld -> %ld KiB",
		 before->slab_kb, after->slab_kb, before->vmalloc_kb, after->vmalloc_kb,
		 before->percpu_kb, after->percpu_kb);
	/* Where KASAN keeps what has been freed for a while, kmemleak finds what is lost. */
	if (access("/sys/kernel/debug/kmemleak", F_OK))
		tap_ok(after->slab_kb - before->slab_kb < 1024, "slab use is back");
	/* Stacks of threads that the kernel keeps are part of it. */
	tap_ok(after->vmalloc_kb - before->vmalloc_kb < 1024, "vmalloc use is back");
	tap_ok(after->percpu_kb - before->percpu_kb < 512, "per-CPU use is back");
}

bool device_settle(int device, const struct wring_features *wanted)
{
	struct wring_features now;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		features(device, &now);
		if (now.programs == wanted->programs && now.code_bytes == wanted->code_bytes &&
		    now.reservations == wanted->reservations)
			return true;
		usleep(100000);
	}
	return false;
}
