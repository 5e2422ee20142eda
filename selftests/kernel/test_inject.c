// SPDX-License-Identifier: GPL-2.0
/*
 * test_inject.c - assertions of the engine made to fail, in a module built for it (kmod/os/inject.c): loads, instances,
 * invocations and hooks end in an internal error or trap, say where, leak nothing, and the next one works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define INJECT "/sys/module/wring/parameters/inject"
#define STAGES 8
/* Of many assertions about so many are tried. */
#define TRIES 120

/* enum Stage of core/base/inject.h. */
enum { NONE, DECODE, COMPILE, PLACE, INSTANTIATE, QUERY, INVOKE, LIBCALL };
static const char *const stage_names[STAGES] = {
	"outside", "decode", "compile", "place", "instantiate", "query", "invoke", "libcall"
};

/* Beyond wasm.h. */
enum {
	OP_PREFIX_FC = 0xfc,
	OP_FC_TABLE_FILL = 17,
	OP_REF_NULL = 0xd0,
	OP_FUNCREF = 0x70,
};

static int device;
static uint8_t *module;		/* exports run: () -> i32, which is 7 */
static size_t module_size;

static void inject(unsigned int stage, unsigned long long n)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %llu", stage, n);
	if (!write_file(INJECT, text))
		tap_bail("%s cannot be written", INJECT);
}

/* How many assertions each stage has evaluated since. */
static void counts(unsigned long long out[STAGES])
{
	FILE *file = fopen(INJECT, "r");
	int i;

	for (i = 0; i < STAGES; i++) {
		if (!file || fscanf(file, "%llu", &out[i]) != 1)
			tap_bail("%s cannot be read", INJECT);
	}
	fclose(file);
}

static uint64_t broken(void)
{
	struct device_usage usage;

	device_usage(device, &usage);
	return usage.features.internal_errors;
}

static void build_module(void)
{
	struct wasm w = WASM_INIT;
	uint32_t type = wasm_type(&w, "", "i"), one, fac;

	wasm_memory(&w, 1, 2);
	wasm_table(&w, 4, 8);
	wasm_global_i32(&w, 1, 3);
	one = WASM_FUNCTION(&w, type, "", OP_I32_CONST, 1);
	/* 1 + 2 + 3 in a loop, from memory */
	fac = WASM_FUNCTION(&w, type, "ii",
			    OP_LOOP, OP_EMPTY_TYPE,
			    OP_LOCAL_GET, 0, OP_I32_CONST, 1, OP_I32_ADD, OP_LOCAL_TEE, 0,
			    OP_I32_LOAD8_U, 0, 0, OP_LOCAL_GET, 1, OP_I32_ADD, OP_LOCAL_SET, 1,
			    OP_LOCAL_GET, 0, OP_GLOBAL_GET, 0, OP_I32_SUB, OP_BR_IF, 0, OP_END,
			    OP_LOCAL_GET, 1);
	wasm_elements(&w, 0, (uint32_t[]) { one, fac }, 2);
	wasm_data(&w, 0, "\0\1\2\3", 4);
	/* table.fill is a library call. */
	wasm_export(&w, "run",
		    WASM_FUNCTION(&w, type, "",
				  OP_I32_CONST, 2, OP_REF_NULL, OP_FUNCREF, OP_I32_CONST, 1,
				  OP_PREFIX_FC, OP_FC_TABLE_FILL, 0,
				  OP_I32_CONST, 0, OP_CALL_INDIRECT, 0, 0,
				  OP_I32_CONST, 1, OP_CALL_INDIRECT, 0, 0, OP_I32_ADD));
	module = wasm_finish(&w, &module_size);
}

/* "internal error: FILE:LINE: EXPRESSION" */
static bool names_place(void)
{
	const char *file = "internal error: kmod/core/", *line = NULL;

	if (!strncmp(device_error.message, file, strlen(file)))
		line = strchr(device_error.message + strlen(file), ':');
	return line && line[1] >= '1' && line[1] <= '9' && strstr(line + 1, ": ");
}

/* ---- loading ---- */

static int load_module(void)
{
	return device_load_module(device, "inject", module, module_size);
}

static int load_instance(void)
{
	return device_instance(device, module, module_size, NULL, 0);
}

static int load_hook(void)
{
	struct wring_prog_load load = { .type = WRING_PROG_XDP, .name = "inject" };

	return device_load(device, module, module_size, &load);
}

static int validate(void)
{
	struct wring_instance_new new = {
		.module = (uintptr_t)module,
		.module_bytes = module_size,
		.flags = WRING_INSTANCE_F_VALIDATE,
		.error = (uintptr_t)&device_error,
		.error_bytes = sizeof(device_error),
	};

	return device_ioctl(device, WRING_IOC_INSTANCE_NEW, &new);
}

static bool works(int fd)
{
	uint64_t result = 0;

	return fd >= 0 && !device_invoke(fd, "run", NULL, 0, &result) && result == 7;
}

static void sweep(const char *what, int (*load)(void), unsigned int stage)
{
	unsigned long long total[STAGES], n, tried = 0, wrong = 0, without_function = 0;
	uint64_t before;
	int fd;

	inject(NONE, 0);
	fd = load();
	close(fd);
	counts(total);
	inject(NONE, 0);
	tap_ok(fd >= 0, "%s works", what);
	tap_eq(total[NONE], 0, "%s: every assertion is guarded", what);
	before = broken();
	for (n = 1; n <= total[stage]; n += total[stage] / TRIES + 1) {
		inject(stage, n);
		fd = load();
		inject(NONE, 0);
		tried++;
		if (fd != -EIO || device_error.kind != WRING_ERROR_INTERNAL || !names_place()) {
			if (!wrong++)
				tap_note("%s %llu: %d, \"%s\"", stage_names[stage], n, fd,
					 device_error.message);
		}
		without_function += device_error.func == WRING_NO_INDEX_U32;
		if (fd >= 0)
			close(fd);
	}
	tap_eq(wrong, 0, "%s: %llu of %llu assertions in %s", what, tried, total[stage],
	       stage_names[stage]);
	tap_eq(broken() - before, tried, "all are counted");
	if (stage == COMPILE)
		tap_ok(without_function < tried / 2, "most name the function");
	fd = load();
	tap_ok(fd >= 0, "%s works again", what);
	close(fd);
}

static void test_loads(void)
{
	static const struct {
		const char *what;
		int (*load)(void);
	} loads[] = { { "a module", load_module },
		      { "an instance", load_instance },
		      { "a hook's program", load_hook } };
	unsigned int i, stage;
	int fd;

	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		for (stage = DECODE; stage <= INSTANTIATE; stage++)
			sweep(loads[i].what, loads[i].load, stage);
	}
	sweep("a hook's program", load_hook, QUERY);
	inject(DECODE, 5);
	tap_eq(validate(), -EIO, "validation fails likewise");
	inject(NONE, 0);
	tap_eq(validate(), 0, "and works");
	fd = load_instance();
	tap_ok(works(fd), "an instance in the store that all those failed in");
	close(fd);
}

/* ---- running ---- */

static void test_invocations(void)
{
	unsigned long long total[STAGES], n, wrong = 0;
	unsigned int stage;
	uint64_t before;
	int fd = load_module(), trap;

	for (stage = INVOKE; stage <= LIBCALL; stage++) {
		inject(NONE, 0);
		tap_ok(works(fd), "the program runs");
		counts(total);
		tap_eq(total[NONE], 0, "every assertion is guarded");
		before = broken();
		for (n = 1; n <= total[stage]; n++) {
			inject(stage, n);
			trap = device_invoke(fd, "run", NULL, 0, NULL);
			inject(NONE, 0);
			wrong += trap != WRING_TRAP_InternalError ||
				 strncmp(device_error.message, "internal error", 14) ||
				 (stage == LIBCALL && device_error.func != 2);
		}
		tap_eq(broken() - before, total[stage], "%llu assertions in %s", total[stage],
		       stage_names[stage]);
	}
	tap_eq(wrong, 0, "all are traps of their own kind");
	tap_ok(works(fd), "the program runs still");
	close(fd);
}

static void run_hook(int fd, struct wring_prog_run *run)
{
	static uint8_t packet[64];

	*run = (struct wring_prog_run) {
		.data_in = (uintptr_t)packet,
		.data_in_bytes = sizeof(packet),
	};
	if (device_ioctl(fd, WRING_IOC_PROG_RUN, run))
		tap_bail("WRING_IOC_PROG_RUN failed");
}

static void test_hook(void)
{
	unsigned long long total[STAGES], n, wrong = 0;
	struct wring_prog_info info;
	struct wring_prog_run run;
	uint32_t verdict;
	int fd = load_hook();

	inject(NONE, 0);
	run_hook(fd, &run);
	counts(total);
	inject(NONE, 0);
	verdict = run.verdict;
	tap_eq(total[NONE], 0, "every assertion is guarded");
	tap_ok(total[LIBCALL] > 0, "%llu assertions in library calls", total[LIBCALL]);
	for (n = 1; n <= total[LIBCALL]; n++) {
		inject(LIBCALL, n);
		run_hook(fd, &run);
		inject(NONE, 0);
		wrong += run.trap != WRING_TRAP_InternalError;
	}
	tap_eq(wrong, 0, "all are traps of the hook");
	hook_info(fd, &info);
	tap_eq(info.traps, total[LIBCALL], "and counted");
	tap_eq(info.trap.reason, WRING_TRAP_InternalError, "the last is recorded");
	tap_ok(!strcmp(info.trap.text, "internal error") && info.trap.frame_count == 1 &&
		       info.trap.frames[0].func == 2,
	       "with its place");
	run_hook(fd, &run);
	tap_ok(!run.trap && run.verdict == verdict, "the program runs still");
	close(fd);
}

/* What users see: `wring feature`. */
static void test_shown(void)
{
	char text[4096] = "", wanted[64];
	FILE *out = popen("wring feature; wring -j feature", "r");

	if (!out || !fread(text, 1, sizeof(text) - 1, out))
		tap_bail("wring feature failed");
	pclose(out);
	snprintf(wanted, sizeof(wanted), "faults of the engine itself: %llu\n",
		 (unsigned long long)broken());
	tap_ok(strstr(text, wanted), "wring feature tells how many there were");
	snprintf(wanted, sizeof(wanted), "\"internal_errors\":%llu", (unsigned long long)broken());
	tap_ok(strstr(text, wanted), "in JSON too");
}

/* ---- tracing ---- */

#define TRACING "/sys/kernel/tracing/"

/* The name the kernel has for the first of our functions that begins with it. */
static bool find_symbol(const char *begin, char name[256])
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], type, module[64];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*x %c %255s %63s", &type, name, module) == 3 &&
			!strcmp(module, "[wring]") && !strncmp(name, begin, strlen(begin));
	if (file)
		fclose(file);
	return found;
}

/* A call that is abandoned never returns, and who waits for that must not mistake the next one for it. */
static void test_return_probes(void)
{
	char symbol[256], probe[300];
	unsigned int i, wrong = 0;
	int fd;

	if (!find_symbol("_ZN5wring6decode", symbol))
		tap_bail("no symbol of the engine's decoder");
	snprintf(probe, sizeof(probe), "r:wring_inject wring:%s", symbol);
	if (!write_file(TRACING "kprobe_events", probe) ||
	    !write_file(TRACING "events/kprobes/wring_inject/enable", "1"))
		tap_bail("no kretprobe on %s", symbol);
	for (i = 1; i <= 100; i++) {
		inject(DECODE, i % 50 + 5);
		fd = load_module();
		inject(NONE, 0);
		wrong += fd != -EIO;
		fd = load_module();
		wrong += !works(fd);
		close(fd);
	}
	tap_eq(wrong, 0, "calls with a kretprobe are abandoned, the next ones return");
	if (!write_file(TRACING "events/kprobes/wring_inject/enable", "0") ||
	    !write_file(TRACING "kprobe_events", "-:wring_inject"))
		tap_bail("the kretprobe cannot be removed");
}

/* ---- leaks ---- */

static void test_no_leak(const struct wring_features *idle)
{
	struct device_usage before, after;
	int round, i;

	/* The first round fills caches and pools. */
	for (round = 0; round < 2; round++) {
		device_settle(device, idle);
		device_usage(device, &before);
		for (i = 0; i < 200; i++) {
			inject(DECODE + i % 4, 1 + i * i);
			close(i % 3 ? load_module() : load_hook());
		}
		inject(NONE, 0);
		tap_ok(device_settle(device, idle), "round %d: all freed", round);
		device_usage(device, &after);
	}
	device_usage_is_back(&before, &after);
}

int main(void)
{
	const struct wring_features idle = {};

	device = device_open();
	if (access(INJECT, F_OK))
		tap_skip_all("the module is not built for fault injection");
	build_module();
	test_loads();
	/* Its store goes, and with it what was kept there. */
	close(device);
	device = device_open();
	tap_ok(device_settle(device, &idle), "nothing is left");
	test_invocations();
	test_hook();
	test_shown();
	test_return_probes();
	test_no_leak(&idle);
	return tap_finish();
}
