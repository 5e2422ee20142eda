// SPDX-License-Identifier: GPL-2.0
/*
 * test_stack_areas.c - what takes much of a stack at once: the areas in which calls of functions with a thousand
 * parameters pass them, in entries of hooks, in start functions, in calls between instances, at any depth.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define PARAMS 1000
#define LOCALS 230

static int device;

static void put_number(struct wasm_body *code, uint32_t value)
{
	do
		WASM_PUT(code, (value & 0x7f) | (value > 0x7f) << 7);
	while (value >>= 7);
}

static const char *many(char type)
{
	static char letters[PARAMS + 1];

	memset(letters, type, PARAMS);
	return letters;
}

/* A thousand constants of the type. */
static void put_arguments(struct wasm_body *code, char type)
{
	int i;

	for (i = 0; i < PARAMS; i++) {
		if (type == 'l')
			WASM_PUT(code, OP_I64_CONST, 7);
		else
			WASM_PUT(code, 0xfd, 12, 7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0);
	}
}

/*
 * main: a tail call of a function with a thousand parameters, which answers 1, if `calls`, or else 2. There is room for
 * it in the entry's frame in either case.
 */
static uint8_t *tail_module(char type, bool calls, bool start, size_t *size)
{
	static struct wasm_body code;
	struct wasm w = WASM_INIT;
	uint32_t none_i = wasm_type(&w, "", "i"), none = wasm_type(&w, "", "");
	uint32_t big = wasm_type(&w, many(type), "i"), sink, main;

	wasm_memory(&w, 1, 1);
	sink = WASM_FUNCTION(&w, big, "", OP_I32_CONST, 1);
	code.size = 0;
	WASM_PUT(&code, OP_I32_CONST, 0, 0x28 /* load */, 2, 0);
	if (calls)
		WASM_PUT(&code, OP_I32_EQZ);
	WASM_PUT(&code, OP_IF, OP_EMPTY_TYPE);
	put_arguments(&code, type);
	WASM_PUT(&code, OP_RETURN_CALL);
	put_number(&code, sink);
	WASM_PUT(&code, OP_END, OP_I32_CONST, 2);
	main = wasm_function(&w, none_i, "", code.bytes, code.size);
	wasm_export(&w, "main", main);
	if (start)
		wasm_start(&w, WASM_FUNCTION(&w, none, "", OP_CALL, main, OP_DROP));
	return wasm_finish(&w, size);
}

static void test_hook(char type, bool calls, bool start, uint32_t hook, uint32_t stack_bytes)
{
	struct wring_prog_load load = { .type = hook, .name = "area", .entry = "main",
					.stack_bytes = stack_bytes };
	uint8_t packet[64] = {}, *module;
	struct wring_prog_run run = { .repeat = 100 };
	size_t size;
	int fd;

	module = tail_module(type, calls, start, &size);
	fd = device_load(device, module, size, &load);
	free(module);
	/* Two such areas and what must be left below them are too much for the start function's. */
	if (start && type == 'v' && !stack_bytes) {
		tap_ok(fd == -ECANCELED && strstr(device_error.message, "stack exhausted"),
		       "start function, '%c': %s", type, device_error.message);
		return;
	}
	if (!tap_ok(fd >= 0, "hook type %u, '%c', start %d: loads: %s", hook, type, start,
		    device_error.message))
		return;
	if (hook == WRING_PROG_XDP) {
		run.data_in = (uintptr_t)packet;
		run.data_in_bytes = sizeof(packet);
	}
	if (device_ioctl(fd, WRING_IOC_PROG_RUN, &run))
		tap_bail("run: %s", device_error.message);
	tap_eq(run.verdict, calls ? 1 : 2, "its verdict, calls %d", calls);
	tap_eq(run.trap, 0, "it does not trap");
	if (hook == WRING_PROG_RAW_TRACEPOINT) {
		/* Hit with little of the task's stack left, and within interrupts. */
		int link = hook_attach_tracepoint(device, fd, "kmalloc");
		struct wring_prog_info info;

		tap_ok(link > 0, "attached to kmalloc");
		hook_sh("ls -lR /sys/kernel/slab /sys/bus >/dev/null 2>&1; true");
		hook_info(fd, &info);
		tap_ok(info.runs > 100 && info.traps == 0, "%llu runs",
		       (unsigned long long)info.runs);
		tap_eq(hook_detach(device, link), 0, "detached");
	}
	close(fd);
}

/* Values of 230 locals that are alive around `call`: a frame that is not checked. */
static void put_frame(struct wasm_body *code, uint32_t first, const void *call, size_t size,
		      uint32_t stored_at)
{
	uint32_t i;

	for (i = 0; i < LOCALS; i++) {
		WASM_PUT(code, OP_I32_CONST, 0, OP_I64_LOAD, 3);
		put_number(code, 64 + 8 * i);
		WASM_PUT(code, OP_LOCAL_SET);
		put_number(code, first + i);
	}
	wasm_put(code, call, size);
	for (i = 0; i < LOCALS; i++) {
		WASM_PUT(code, OP_I32_CONST, 0, OP_LOCAL_GET);
		put_number(code, first + i);
		WASM_PUT(code, OP_I64_STORE, 3);
		put_number(code, stored_at + 8 * i);
	}
}

/* f: a thousand v128 parameters; two more frames that are not checked; memory.grow, which may reclaim. */
static int deep_callee(int session)
{
	static const uint8_t grow[] = { OP_I32_CONST, 1, OP_MEMORY_GROW, 0, OP_DROP };
	static struct wasm_body code;
	char locals[LOCALS + 1] = {};
	struct wasm w = WASM_INIT;
	uint32_t none = wasm_type(&w, "", ""), big = wasm_type(&w, many('v'), ""), i, g[2];
	uint8_t *module;
	size_t size;
	int fd;

	memset(locals, 'l', LOCALS);
	wasm_memory(&w, 1, 100);
	for (i = 0; i < 2; i++) {
		uint8_t call[] = { OP_CALL, 0 };

		code.size = 0;
		if (i)
			put_frame(&code, 0, call, sizeof(call), 16384);
		else
			put_frame(&code, 0, grow, sizeof(grow), 8192);
		g[i] = wasm_function(&w, none, locals, code.bytes, code.size);
	}
	code.size = 0;
	put_frame(&code, PARAMS, (uint8_t[]) { OP_CALL, g[1] }, 2, 24576);
	wasm_export(&w, "f", wasm_function(&w, big, locals, code.bytes, code.size));
	module = wasm_finish(&w, &size);
	fd = device_instance(session, module, size, NULL, 0);
	free(module);
	return fd;
}

/* rec(n): calls itself n times, then f of the other instance. */
static int deep_caller(int session, int callee)
{
	const struct wring_import import = { .instance_fd = callee, .export_index = 0 };
	static struct wasm_body code;
	struct wasm w = WASM_INIT;
	uint32_t big = wasm_type(&w, many('v'), ""), none = wasm_type(&w, "", "");
	uint32_t i = wasm_type(&w, "i", ""), f, leaf;
	uint8_t *module;
	size_t size;
	int fd;

	f = wasm_import(&w, "b", "f", big);
	code.size = 0;
	put_arguments(&code, 'v');
	WASM_PUT(&code, OP_CALL, f);
	leaf = wasm_function(&w, none, "", code.bytes, code.size);
	wasm_export(&w, "rec",
		    WASM_FUNCTION(&w, i, "", OP_LOCAL_GET, 0, OP_IF, OP_EMPTY_TYPE, OP_LOCAL_GET, 0,
				  OP_I32_CONST, 1, OP_I32_SUB, OP_CALL, leaf + 1, OP_RETURN, OP_END,
				  OP_CALL, leaf));
	module = wasm_finish(&w, &size);
	fd = device_instance(session, module, size, &import, 1);
	free(module);
	return fd;
}

static void test_between_instances(void)
{
	uint64_t depth, deepest = 0, fuel, result;
	/* Instances that are linked stay as long as what they were made with. */
	int session = device_open(), callee = deep_callee(session), caller, trap = 0, other = 0;

	if (!tap_ok(callee >= 0, "an instance: %s", device_error.message))
		return;
	caller = deep_caller(session, callee);
	if (!tap_ok(caller >= 0, "one that calls it: %s", device_error.message))
		return;
	for (depth = 0; depth < 40000 && !other; depth += depth < 100 ? 1 : 37) {
		fuel = 1 << 24;
		trap = device_invoke_fuel(caller, "rec", &depth, 1, &result, &fuel);
		if (!trap)
			deepest = depth;
		other = trap && trap != WRING_TRAP_StackExhausted;
	}
	tap_ok(!other, "at any depth it returns or the stack is exhausted: %d", trap);
	tap_ok(deepest > 100 && trap, "up to a depth of %llu it returns",
	       (unsigned long long)deepest);
	close(caller);
	close(callee);
	close(session);
}

int main(void)
{
	struct wring_features before;
	int calls, start;

	device = hook_begin(&before);
	for (calls = 0; calls < 2; calls++) {
		for (start = 0; start < 2; start++) {
			test_hook('l', calls, start, WRING_PROG_XDP, 0);
			test_hook('v', calls, start, WRING_PROG_XDP, 0);
			test_hook('v', calls, start, WRING_PROG_XDP, 131072);
		}
		test_hook('l', calls, false, WRING_PROG_RAW_TRACEPOINT, 0);
	}
	test_between_instances();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
