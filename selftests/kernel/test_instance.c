// SPDX-License-Identifier: GPL-2.0
/*
 * test_instance.c - instances that import functions, memories, tables and globals from each other.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "tap.h"
#include "wasm.h"

static int device;

static int instantiate(struct wasm *w, const struct wring_import *imports, uint32_t count)
{
	size_t size;
	uint8_t *module = wasm_finish(w, &size);
	int fd = device_instance(device, module, size, imports, count);

	free(module);
	return fd;
}

/* Exports in order: 0 add (function), 1 memory, 2 table, 3 counter (mutable global), 4 boom (traps), 5 peek */
static int exporter(void)
{
	struct wasm w = WASM_INIT;
	uint32_t ii_i = wasm_type(&w, "ii", "i"), none = wasm_type(&w, "", ""),
		 i_i = wasm_type(&w, "i", "i");
	uint32_t add, elements[1];

	wasm_memory(&w, 1, 2);
	wasm_table(&w, 4, 4);
	wasm_global_i32(&w, 1, 7);
	add = WASM_FUNCTION(&w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_ADD);
	wasm_export(&w, "add", add);
	wasm_export_kind(&w, "memory", 2, 0);
	wasm_export_kind(&w, "table", 1, 0);
	wasm_export_kind(&w, "counter", 3, 0);
	wasm_export(&w, "boom", WASM_FUNCTION(&w, none, "", OP_UNREACHABLE));
	wasm_export(&w, "peek", WASM_FUNCTION(&w, i_i, "", OP_LOCAL_GET, 0, OP_I32_LOAD, 2, 0));
	elements[0] = add;
	wasm_elements(&w, 2, elements, 1);
	return instantiate(&w, NULL, 0);
}

/* Imports all of that; `fd` satisfies each. */
static int importer(int fd, int count)
{
	const struct wring_import imports[] = {
		{ fd, 0 }, { fd, 4 }, { fd, 1 }, { fd, 2 }, { fd, 3 }
	};
	struct wasm w = WASM_INIT;
	uint32_t ii_i = wasm_type(&w, "ii", "i"), none = wasm_type(&w, "", "");

	wasm_import(&w, "a", "add", ii_i);
	wasm_import(&w, "a", "boom", none);
	wasm_import_kind(&w, "a", "memory", 2, "\1\1\2", 3);
	wasm_import_kind(&w, "a", "table", 1, "\x70\1\4\4", 4);
	wasm_import_kind(&w, "a", "counter", 3, "\x7f\1", 2);
	wasm_export(&w, "call",
		    WASM_FUNCTION(&w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_CALL, 0));
	wasm_export(&w, "call_boom", WASM_FUNCTION(&w, none, "", OP_CALL, 1));
	wasm_export(&w, "poke",
		    WASM_FUNCTION(&w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_STORE, 2,
				  0, OP_I32_CONST, 0));
	wasm_export(&w, "via_table",
		    WASM_FUNCTION(&w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_CONST, 2,
				  OP_CALL_INDIRECT, 0, 0));
	wasm_export(&w, "count",
		    WASM_FUNCTION(&w, none, "", OP_GLOBAL_GET, 0, OP_I32_CONST, 1, OP_I32_ADD,
				  OP_GLOBAL_SET, 0));
	return instantiate(&w, imports, count);
}

static uint64_t global(int fd, uint32_t index)
{
	struct wring_export_get get = { .export_index = index };

	tap_eq(device_ioctl(fd, WRING_IOC_EXPORT_GET, &get), 0, "export get");
	tap_eq(get.kind, 3, "is a global");
	return get.value[0];
}

static void test_linked(void)
{
	uint64_t args[2] = { 30, 12 }, poke[2] = { 64, 99 }, at = 64, result = 0;
	struct wring_export_get get = { .export_index = 0 };
	int a = exporter(), b;

	tap_ok(a >= 0, "exporter: %s", device_error.message);
	b = importer(a, 5);
	tap_ok(b >= 0, "importer: %s", device_error.message);
	tap_eq(device_ioctl(a, WRING_IOC_EXPORT_GET, &get), 0, "export by index");
	tap_ok(!strcmp(get.params, "ii") && !strcmp(get.results, "i") && get.kind == 0,
	       "has its type");
	get = (struct wring_export_get) { .export_index = 1000,
					  .error = (uintptr_t)&device_error,
					  .error_bytes = sizeof(device_error) };
	tap_eq(device_ioctl(a, WRING_IOC_EXPORT_GET, &get), -ENOENT, "no such export");
	tap_ok(!strcmp(device_error.message, "no such export"), "and it says so");
	tap_eq(device_invoke(b, "call", args, 2, &result), 0, "a call across instances");
	tap_eq(result, 42, "adds");
	tap_eq(device_invoke(b, "via_table", args, 2, &result), 0,
	       "a call through the shared table");
	tap_eq(result, 42, "adds");
	tap_eq(device_invoke(b, "poke", poke, 2, &result), 0, "a store to the shared memory");
	tap_eq(device_invoke(a, "peek", &at, 1, &result), 0, "is seen");
	tap_eq(result, 99, "by the exporter");
	tap_eq(device_invoke(b, "count", NULL, 0, NULL), 0, "an increment of the shared global");
	tap_eq(global(a, 3), 8, "is seen by the exporter");
	tap_eq(device_invoke(b, "call_boom", NULL, 0, NULL), WRING_TRAP_Unreachable,
	       "a trap across instances");
	tap_eq(device_invoke(b, "call", args, 2, &result), 0, "after which things work");

	/* The importer keeps alive what it needs. */
	close(a);
	tap_eq(device_invoke(b, "call", args, 2, &result), 0,
	       "a call after the exporter's fd is closed");
	tap_eq(result, 42, "adds");
	poke[0] = 65536;
	tap_eq(device_invoke(b, "poke", poke, 2, &result), WRING_TRAP_MemoryOutOfBounds,
	       "its memory is bounded");
	close(b);
}

static void test_refused(void)
{
	const struct wring_import wrong_kind[] = { { -1, 0 } };
	struct wring_import imports[5];
	struct wasm w = WASM_INIT;
	int a = exporter(), other, i, fd;

	for (i = 0; i < 5; i++)
		imports[i] = (struct wring_import) { a, 3 };
	wasm_import(&w, "a", "add", wasm_type(&w, "", ""));
	fd = instantiate(&w, imports, 1);
	tap_eq(fd, -ENOLINK, "a global for a function: %s", device_error.message);
	imports[0].export_index = 0;
	wasm_import(&w, "a", "add", wasm_type(&w, "", ""));
	fd = instantiate(&w, imports, 1);
	tap_eq(fd, -ENOLINK, "a function of another type: %s", device_error.message);
	imports[0].export_index = 77;
	wasm_import(&w, "a", "add", wasm_type(&w, "", ""));
	fd = instantiate(&w, imports, 1);
	tap_eq(fd, -ENOENT, "no such export: %s", device_error.message);
	wasm_import(&w, "a", "add", wasm_type(&w, "", ""));
	fd = instantiate(&w, wrong_kind, 1);
	tap_eq(fd, -ENOLINK, "no such host function: %s", device_error.message);
	tap_eq(importer(a, 4), -EINVAL, "too few imports: %s", device_error.message);
	tap_eq(importer(9999, 5), -EBADF, "imports from a closed fd: %s", device_error.message);
	tap_eq(importer(device, 5), -EINVAL, "imports from the device: %s", device_error.message);

	other = device;
	device = device_open();
	tap_eq(importer(a, 5), -EINVAL, "imports from another open file's instance: %s",
	       device_error.message);
	close(device);
	device = other;
	close(a);
}

/* What an instantiation that fails half-way has written stays, and its functions can be called. */
static void test_partial(void)
{
	uint64_t args[2] = { 1, 2 }, at = 0, result = 0;
	struct wring_import imports[2];
	struct wasm w = WASM_INIT;
	uint32_t element = 0;
	int a = exporter(), b, fd;

	imports[0] = (struct wring_import) { a, 1 };
	imports[1] = (struct wring_import) { a, 2 };
	wasm_import_kind(&w, "a", "memory", 2, "\1\1\2", 3);
	wasm_import_kind(&w, "a", "table", 1, "\x70\1\4\4", 4);
	element = WASM_FUNCTION(&w, wasm_type(&w, "ii", "i"), "", OP_I32_CONST, 33);
	wasm_elements(&w, 2, &element, 1);
	wasm_data(&w, 0, "\x2a\0\0\0", 4);
	wasm_data(&w, 65535, "xy", 2);
	fd = instantiate(&w, imports, 2);
	tap_eq(fd, -ECANCELED, "a data segment out of bounds: %s", device_error.message);
	tap_eq(device_invoke(a, "peek", &at, 1, &result), 0, "the one before it");
	tap_eq(result, 42, "was written");
	b = importer(a, 5);
	tap_eq(device_invoke(b, "via_table", args, 2, &result), 0,
	       "the function it put into the table");
	tap_eq(result, 33, "can be called");
	close(b);
	close(a);
}

/* An endless invocation keeps nobody from closing files of the same session. */
static void test_close_meanwhile(void)
{
	struct wasm w = WASM_INIT;
	struct timespec begin, end;
	int a, b, status;
	pid_t pid;

	wasm_export(&w, "spin",
		    WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_LOOP, OP_EMPTY_TYPE, OP_BR, 0,
				  OP_END));
	a = instantiate(&w, NULL, 0);
	b = exporter();
	pid = fork();
	if (!pid) {
		uint64_t fuel = 1ull << 60;

		device_invoke_fuel(a, "spin", NULL, 0, NULL, &fuel);
		_exit(0);
	}
	close(a);
	usleep(200000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	close(b);
	clock_gettime(CLOCK_MONOTONIC, &end);
	tap_ok(end.tv_sec - begin.tv_sec < 5, "closing does not wait for an invocation");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	tap_ok(WIFSIGNALED(status), "which can be killed");
}

int main(void)
{
	struct device_usage before;
	uint64_t result = 0;
	int a;

	device = device_open();
	device_usage(device, &before);
	test_linked();
	test_refused();
	test_partial();
	test_close_meanwhile();

	/* Instances outlive the file they were made by. */
	a = exporter();
	close(device);
	tap_eq(device_invoke(a, "peek", (uint64_t[]) { 0 }, 1, &result), 0,
	       "an instance of a closed file runs");
	close(a);
	device = device_open();
	tap_ok(device_settle(device, &before.features), "everything is given back");
	return tap_finish();
}
