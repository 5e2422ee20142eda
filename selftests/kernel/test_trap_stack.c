// SPDX-License-Identifier: GPL-2.0
/*
 * test_trap_stack.c - traps put the guest's shadow stack pointer back, in programs of clang and in what other compilers
 * write, with and without names: after thousands of traps a program still answers as it did, and its other globals
 * are as it left them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define TRAPS 10000
#define PASS 2
#define DROP 1
#define STACK_TOP 65536

static int device;

/* Thousands of traps by `bad`, then `good` is answered as it was before. */
static void test_traps(const char *what, int program, const uint8_t *bad, const uint8_t *good,
		       size_t size, uint32_t verdict)
{
	struct wring_prog_info info;

	if (!tap_ok(program >= 0, "%s: loads: %s", what, device_error.message))
		return;
	tap_eq(hook_run(program, good, size, 1).verdict, verdict, "%s: a packet", what);
	tap_eq(hook_run(program, bad, size, TRAPS).trap, WRING_TRAP_PacketOutOfBounds,
	       "%s: short ones are traps", what);
	hook_info(program, &info);
	tap_eq(info.traps, TRAPS, "%s: all of them", what);
	tap_eq(hook_run(program, good, size, 1).verdict, verdict, "%s: the packet again", what);
	tap_eq(hook_run(program, good, size, 1).trap, 0, "%s: is no trap", what);
	close(program);
}

/* The binary without its custom sections but those that the loader reads. */
static size_t strip(uint8_t *module, size_t size)
{
	uint8_t *at = module + 8, *to = at, *next, *end = module + size;
	uint32_t bytes, shift;

	for (; at < end; at = next) {
		bytes = shift = 0;
		next = at + 1;
		do
			bytes |= (uint32_t)(*next & 0x7f) << shift;
		while ((shift += 7) < 35 && *next++ & 0x80);
		next += bytes;
		if (*at == 0)
			continue;
		memmove(to, at, next - at);
		to += next - at;
	}
	return to - module;
}

static void test_clang(void)
{
	struct wring_prog_load load = { .type = WRING_PROG_XDP, .name = "frame" };
	uint8_t good[64] = { 5, 1, 2, 4, 9 }, bad[64] = { 250 };
	size_t size, stripped;
	uint8_t *module = hook_read_guest("hook_frame", &size);

	test_traps("C", device_load(device, module, size, &load), bad, good, sizeof(good), DROP);
	stripped = strip(module, size);
	tap_ok(stripped < size && !memmem(module, stripped, "__stack_pointer", 15),
	       "names can be left out");
	load.id = 0;
	test_traps("C without names", device_load(device, module, stripped, &load), bad, good,
		   sizeof(good), DROP);
	free(module);
}

/* How functions make room and give it back; the frame's 4096 bytes are at the stack pointer. */
enum style { KEPT, IN_LOCALS, ALIGNED, ANEW, STYLES };

static const char *const style_names[STYLES] = {
	"as LLVM optimized (C, C++, Rust, Zig, TinyGo)",
	"as LLVM not optimized",
	"with an alignment",
	"AssemblyScript",
};

#define FRAME_BYTES 0x80, 0x20 /* 4096 */

static const uint8_t enters[STYLES][32] = {
	[KEPT] = { OP_GLOBAL_GET, 0, OP_I32_CONST, FRAME_BYTES, OP_I32_SUB, OP_LOCAL_TEE, 1,
		   OP_GLOBAL_SET, 0 },
	[IN_LOCALS] = { OP_GLOBAL_GET, 0, OP_LOCAL_SET, 1, OP_I32_CONST, FRAME_BYTES, OP_LOCAL_SET,
			2, OP_LOCAL_GET, 1, OP_LOCAL_GET, 2, OP_I32_SUB, OP_LOCAL_SET, 1,
			OP_LOCAL_GET, 1, OP_GLOBAL_SET, 0 },
	[ALIGNED] = { OP_GLOBAL_GET, 0, OP_LOCAL_TEE, 2, OP_I32_CONST, FRAME_BYTES, OP_I32_SUB,
		      OP_I32_CONST, 0x40, OP_I32_AND, OP_LOCAL_TEE, 1, OP_GLOBAL_SET, 0 },
	[ANEW] = { OP_GLOBAL_GET, 0, OP_I32_CONST, FRAME_BYTES, OP_I32_SUB, OP_GLOBAL_SET, 0,
		   OP_GLOBAL_GET, 0, OP_I32_CONST, 0, OP_I32_STORE, 2, 0 },
};

static const uint8_t leaves[STYLES][16] = {
	[KEPT] = { OP_LOCAL_GET, 1, OP_I32_CONST, FRAME_BYTES, OP_I32_ADD, OP_GLOBAL_SET, 0 },
	[IN_LOCALS] = { OP_I32_CONST, FRAME_BYTES, OP_LOCAL_SET, 2, OP_LOCAL_GET, 1, OP_LOCAL_GET,
			2, OP_I32_ADD, OP_GLOBAL_SET, 0 },
	[ALIGNED] = { OP_LOCAL_GET, 2, OP_GLOBAL_SET, 0 },
	[ANEW] = { OP_GLOBAL_GET, 0, OP_I32_CONST, FRAME_BYTES, OP_I32_ADD, OP_GLOBAL_SET, 0 },
};

/* The sequences end with zeroes, of which the last instruction's operand is one. */
static size_t append(uint8_t *code, size_t size, const uint8_t *part, size_t room)
{
	while (room > 0 && !part[room - 1])
		room--;
	memcpy(code + size, part, room + 1);
	return size + room + 1;
}

/*
 * read(offset): the packet's byte, by way of memory at the frame; counts down in global 1. main: read(read(0)). With
 * `moves`, an export that sets the stack pointer from outside, as emscripten's do.
 */
static int load_style(enum style style, bool moves)
{
	static const uint8_t counts[] = { OP_GLOBAL_GET, 1, OP_I32_CONST, 16, OP_I32_SUB,
					  OP_GLOBAL_SET, 1 };
	static const uint8_t reads[] = { OP_GLOBAL_GET, 0, OP_LOCAL_GET, 0, OP_CALL, 0,
					 OP_I32_STORE, 2, 0, OP_GLOBAL_GET, 0, OP_I32_LOAD, 2, 0,
					 OP_LOCAL_SET, 3 };
	struct wring_prog_load load = { .type = WRING_PROG_XDP, .name = "style",
					.entry = "main" };
	struct wasm w = WASM_INIT;
	uint8_t code[128], *module;
	uint32_t i_i = wasm_type(&w, "i", "i"), none_i = wasm_type(&w, "", "i"), read;
	size_t size = 0;
	int fd;

	wasm_import(&w, "wring", "pkt_load8", i_i);
	wasm_memory(&w, 1, 1);
	wasm_global_i32(&w, 1, STACK_TOP);
	wasm_global_i32(&w, 1, 0);
	size = append(code, size, enters[style], sizeof(enters[style]) - 1);
	memcpy(code + size, counts, sizeof(counts));
	size += sizeof(counts);
	memcpy(code + size, reads, sizeof(reads));
	size += sizeof(reads);
	size = append(code, size, leaves[style], sizeof(leaves[style]) - 1);
	code[size++] = OP_LOCAL_GET;
	code[size++] = 3;
	read = wasm_function(&w, i_i, "iii", code, size);
	wasm_export(&w, "main", WASM_FUNCTION(&w, none_i, "", OP_I32_CONST, 0, OP_CALL, read,
					      OP_CALL, read));
	if (moves)
		wasm_export(&w, "restore",
			    WASM_FUNCTION(&w, wasm_type(&w, "i", ""), "", OP_LOCAL_GET, 0,
					  OP_GLOBAL_SET, 0));
	module = wasm_finish(&w, &size);
	fd = device_load(device, module, size, &load);
	free(module);
	return fd;
}

static void test_styles(void)
{
	uint8_t good[64] = { [0] = 20, [20] = DROP }, bad[64] = { 200 };
	int style;

	for (style = 0; style < STYLES; style++) {
		test_traps(style_names[style], load_style(style, false), bad, good, sizeof(good),
			   DROP);
		test_traps(style_names[style], load_style(style, true), bad, good, sizeof(good),
			   DROP);
	}
}

static uint32_t global_of(int program, const char *name)
{
	struct wring_export_get get = { .name = (uintptr_t)name, .name_bytes = strlen(name) };

	if (device_ioctl(program, WRING_IOC_EXPORT_GET, &get))
		tap_bail("global %s: %s", name, device_error.message);
	return get.value[0];
}

/* Exports that are called: the stack pointer comes back, a counter and memory do not. */
static void test_calls(void)
{
	static const uint8_t body[] = {
		OP_GLOBAL_GET, 0, OP_I32_CONST, FRAME_BYTES, OP_I32_SUB, OP_LOCAL_TEE, 1,
		OP_GLOBAL_SET, 0, OP_GLOBAL_GET, 1, OP_I32_CONST, 16, OP_I32_SUB, OP_GLOBAL_SET, 1,
		OP_LOCAL_GET, 1, OP_GLOBAL_GET, 1, OP_I32_STORE, 2, 0, OP_LOCAL_GET, 0,
		OP_I32_EQZ, OP_IF, OP_EMPTY_TYPE, OP_UNREACHABLE, OP_END, OP_LOCAL_GET, 1,
		OP_I32_LOAD, 2, 0, OP_LOCAL_GET, 1, OP_I32_CONST, FRAME_BYTES, OP_I32_ADD,
		OP_GLOBAL_SET, 0,
	};
	uint64_t arg = 0, result = 0;
	struct wasm w = WASM_INIT;
	int program, i, traps = 0;
	uint8_t *module;
	size_t size;

	wasm_memory(&w, 1, 1);
	wasm_global_i32(&w, 1, STACK_TOP);
	wasm_global_i32(&w, 1, 0);
	wasm_export(&w, "run", wasm_function(&w, wasm_type(&w, "i", "i"), "i", body, sizeof(body)));
	wasm_export_kind(&w, "sp", 3, 0);
	wasm_export_kind(&w, "count", 3, 1);
	module = wasm_finish(&w, &size);
	program = device_load_module(device, "calls", module, size);
	free(module);
	if (!tap_ok(program >= 0, "a module loads: %s", device_error.message))
		return;
	for (i = 0; i < TRAPS; i++)
		traps += device_invoke(program, "run", &arg, 1, NULL) == WRING_TRAP_Unreachable;
	tap_eq(traps, TRAPS, "calls that trap");
	tap_eq(global_of(program, "sp"), STACK_TOP, "the stack pointer is where it was");
	tap_eq(global_of(program, "count"), (uint32_t)(-16 * TRAPS), "the counter has counted");
	arg = 1;
	tap_eq(device_invoke(program, "run", &arg, 1, &result), 0, "one more does not trap");
	tap_eq((uint32_t)result, (uint32_t)(-16 * (TRAPS + 1)), "and finds its frame");
	close(program);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	hook_stay_on_this_cpu();
	test_clang();
	test_styles();
	test_calls();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
