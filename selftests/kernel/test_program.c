// SPDX-License-Identifier: GPL-2.0
/*
 * test_program.c - programs that are run by hand: calls, traps and their records, fuel, limits, registry, text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "tap.h"
#include "wasm.h"

static int device;

/* Loads what was built; the fd or -errno. */
static int load(struct wasm *w, const char *name, struct wring_prog_load *request)
{
	struct wring_prog_load plain = { .type = WRING_PROG_MODULE };
	size_t size;
	uint8_t *module = wasm_finish(w, &size);
	int fd;

	if (!request)
		request = &plain;
	snprintf(request->name, sizeof(request->name), "%s", name);
	fd = device_load(device, module, size, request);
	free(module);
	return fd;
}

static struct wring_prog_info info_of(int program)
{
	struct wring_prog_info info = {};

	tap_eq(device_ioctl(program, WRING_IOC_PROG_INFO, &info), 0, "info");
	return info;
}

/*
 * A program with one way of failing per export:
 * 0 oob, 1 divide, 2 unreachable, 3 recurse, 4 spin, 5 indirect, 6 add, 7 deep (calls oob), 8 grow, 9 store. The
 * compiler inlines leaves, so oob makes a call.
 */
static void build_hostile(struct wasm *w)
{
	uint32_t ii_i = wasm_type(w, "ii", "i"), i_i = wasm_type(w, "i", "i"),
		 none = wasm_type(w, "", "");
	uint32_t oob, deep, null_entry[1];

	wasm_memory(w, 1, 4);
	wasm_table(w, 4, 4);
	/* The offset adds 4 GiB - 64 KiB to the index: up to 8 GiB above the base. */
	oob = WASM_FUNCTION(w, i_i, "", OP_LOCAL_GET, 0, OP_I32_LOAD, 2, 0x80, 0x80, 0xfc, 0xff,
			    0x0f, OP_I32_CONST, 1, OP_CALL, 1);
	wasm_export(w, "oob", oob);
	wasm_name(w, oob, "wild_read");
	wasm_export(w, "div",
		    WASM_FUNCTION(w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_DIV_S));
	wasm_export(w, "unreachable", WASM_FUNCTION(w, none, "", OP_UNREACHABLE));
	wasm_export(w, "recurse", WASM_FUNCTION(w, none, "", OP_CALL, 3));
	wasm_name(w, 3, "forever");
	wasm_export(w, "spin",
		    WASM_FUNCTION(w, none, "", OP_LOOP, OP_EMPTY_TYPE, OP_BR, 0, OP_END));
	wasm_export(w, "indirect", WASM_FUNCTION(w, i_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 0,
						 OP_CALL_INDIRECT, 1, 0));
	wasm_export(w, "add",
		    WASM_FUNCTION(w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_ADD));
	deep = WASM_FUNCTION(w, i_i, "", OP_LOCAL_GET, 0, OP_CALL, oob, OP_I32_CONST, 1,
			     OP_I32_ADD);
	wasm_export(w, "deep", deep);
	wasm_name(w, deep, "outer");
	wasm_export(w, "grow", WASM_FUNCTION(w, i_i, "", OP_LOCAL_GET, 0, OP_MEMORY_GROW, 0));
	wasm_export(w, "store",
		    WASM_FUNCTION(w, ii_i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_STORE, 2, 0,
				  OP_LOCAL_GET, 0, OP_I32_LOAD, 2, 0));
	null_entry[0] = 0;
	wasm_elements(w, 1, null_entry, 1);
}

static int call(int program, const char *export, uint64_t a, uint64_t b, uint32_t count,
		uint64_t *result)
{
	uint64_t args[2] = { a, b };

	return device_invoke(program, export, args, count, result);
}

static void test_calls(int program)
{
	uint64_t result = 0;

	tap_eq(call(program, "add", 40, 2, 2, &result), 0, "add runs");
	tap_eq(result, 42, "add adds");
	tap_eq(call(program, "add", 0xffffffff, 2, 2, &result), 0, "add wraps");
	tap_eq(result, 1, "i32 results are zero-extended");
	tap_eq(call(program, "add", 0xdead00000001, 0xbeef00000002, 2, &result), 0,
	       "junk above an i32 argument");
	tap_eq(result, 3, "junk is ignored");
	tap_eq(call(program, "add", 1, 0, 1, &result), -EINVAL, "too few arguments: %s",
	       device_error.message);
	tap_eq(call(program, "nothing", 0, 0, 0, &result), -ENOENT, "no such export: %s",
	       device_error.message);
	tap_eq(call(program, "store", 65532, 77, 2, &result), 0, "the last word of memory");
	tap_eq(result, 77, "holds what was stored");
}

static void test_traps(int program)
{
	struct wring_prog_info info;
	uint64_t traps = info_of(program).traps, result;

	tap_eq(call(program, "oob", 65536, 0, 1, &result), WRING_TRAP_MemoryOutOfBounds,
	       "4 GiB out of bounds");
	tap_eq(call(program, "oob", 0xffffffff, 0, 1, &result), WRING_TRAP_MemoryOutOfBounds,
	       "8 GiB out of bounds");
	tap_ok(strstr(device_error.message, "wild_read"), "the function is named: %s",
	       device_error.message);
	tap_eq(device_error.func, 0, "its index is told");
	tap_eq(call(program, "store", 65533, 1, 2, &result), WRING_TRAP_MemoryOutOfBounds,
	       "across the end");
	tap_eq(call(program, "div", 1, 0, 2, &result), WRING_TRAP_IntegerDivideByZero,
	       "division by zero");
	tap_eq(call(program, "div", 0x80000000, 0xffffffff, 2, &result), WRING_TRAP_IntegerOverflow,
	       "division overflow");
	tap_eq(call(program, "unreachable", 0, 0, 0, &result), WRING_TRAP_Unreachable,
	       "unreachable");
	tap_eq(call(program, "recurse", 0, 0, 0, &result), WRING_TRAP_StackExhausted,
	       "infinite recursion");
	tap_ok(strstr(device_error.message, "forever"), "is named: %s", device_error.message);
	tap_eq(call(program, "indirect", 0, 0, 1, &result), WRING_TRAP_UninitializedElement,
	       "null table entry");
	tap_eq(call(program, "indirect", 4, 0, 1, &result), WRING_TRAP_UndefinedElement,
	       "beyond the table");
	tap_eq(call(program, "indirect", 0xffffffff, 0, 1, &result), WRING_TRAP_UndefinedElement,
	       "far beyond the table");
	tap_eq(call(program, "deep", 65536, 0, 1, &result), WRING_TRAP_MemoryOutOfBounds,
	       "trap in a callee");

	info = info_of(program);
	tap_eq(info.traps - traps, 11, "traps are counted");
	tap_eq(info.trap.reason, WRING_TRAP_MemoryOutOfBounds, "the last one is recorded");
	tap_ok(info.trap.time_ns, "with its time");
	tap_eq(info.trap.frame_count, 2, "and its frames");
	tap_ok(!strcmp(info.trap.frames[0].name, "wild_read") &&
		       !strcmp(info.trap.frames[1].name, "outer"),
	       "named: %s, %s", info.trap.frames[0].name, info.trap.frames[1].name);
	tap_ok(info.trap.frames[0].offset > 8 &&
		       info.trap.frames[1].offset > info.trap.frames[0].offset,
	       "with offsets: %u, %u", info.trap.frames[0].offset, info.trap.frames[1].offset);
	tap_eq(call(program, "add", 1, 2, 2, &result), 0, "the program runs on after traps");
}

static void test_fuel(int program)
{
	uint64_t result, fuel = 1000, again = 1000;

	tap_eq(device_invoke_fuel(program, "spin", NULL, 0, &result, &fuel),
	       WRING_TRAP_FuelExhausted, "a loop runs out of fuel");
	tap_eq(fuel, 1000, "all of it");
	fuel = 50000000;
	tap_eq(device_invoke_fuel(program, "spin", NULL, 0, &result, &fuel),
	       WRING_TRAP_FuelExhausted, "a loop over many slices");
	tap_eq(fuel, 50000000, "all of it");
	device_invoke_fuel(program, "recurse", NULL, 0, &result, &again);
	fuel = again;
	tap_ok(again > 0 && again <= 1000, "recursion pays: %llu", (unsigned long long)again);
}

static void test_memory(int program)
{
	uint64_t result;

	tap_eq(info_of(program).linmem_bytes, 65536, "one page of memory");
	call(program, "store", 100, 1234, 2, &result);
	tap_eq(call(program, "grow", 2, 0, 1, &result), 0, "memory.grow");
	tap_eq(result, 1, "returns the old size");
	tap_eq(info_of(program).linmem_bytes, 3 * 65536, "three pages of memory");
	tap_eq(call(program, "store", 3 * 65536 - 4, 5, 2, &result), 0, "the new last word");
	tap_eq(call(program, "grow", 2, 0, 1, &result), 0, "growing beyond the maximum");
	tap_eq((int32_t)result, -1, "is refused");
}

static bool is_listed(const struct wring_prog_info *info)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	char line[512], symbol[128];
	unsigned long long address;
	bool found = false;
	int i, n = 0;

	n += sprintf(symbol + n, "bpf_prog_");
	for (i = 0; i < 8; i++)
		n += sprintf(symbol + n, "%02x", info->tag[i]);
	sprintf(symbol + n, "_%.15s", info->name);
	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, symbol) && sscanf(line, "%llx", &address) == 1 &&
		    address == info->code_address)
			found = true;
	}
	if (file)
		fclose(file);
	return found;
}

static bool hardened(void)
{
	FILE *file = fopen("/proc/sys/net/core/bpf_jit_harden", "r");
	int value = 0;

	if (file) {
		if (fscanf(file, "%d", &value) != 1)
			value = 0;
		fclose(file);
	}
	return value;
}

/* Where IBT is on, what is called through pointers begins with endbr64; nothing contains it elsewhere. */
static bool has_endbr(const uint8_t *code, size_t size)
{
	return memmem(code, size, "\xf3\x0f\x1e\xfa", 4);
}

static void test_text(int program)
{
	struct wring_prog_info info = info_of(program);
	struct wring_prog_code code = {};
	struct device_usage usage;
	uint8_t *bytes;

	tap_ok(info.code_address >= 0xffffffff80000000, "code lies near the kernel's");
	tap_eq(info.code_address % 16, 0, "and is aligned");
	tap_ok(info.code_bytes > 0, "its size is known: %llu", (unsigned long long)info.code_bytes);
	/* With net.core.bpf_jit_harden the kernel lists no generated code. */
	if (!hardened())
		tap_ok(is_listed(&info), "/proc/kallsyms lists it");
	bytes = calloc(1, info.code_bytes + 1);
	bytes[10] = 0x77;
	code.buffer = (uintptr_t)bytes;
	code.bytes = 10;
	tap_eq(device_ioctl(program, WRING_IOC_PROG_CODE, &code), 0, "code, the beginning");
	tap_ok(bytes[10] == 0x77 && code.bytes == info.code_bytes &&
		       code.address == info.code_address,
	       "is cut off, and the size told");
	tap_eq(device_ioctl(program, WRING_IOC_PROG_CODE, &code), 0, "code, all of it");
	tap_ok(bytes[10] != 0x77 || bytes[11] || bytes[12], "arrives");
	device_usage(device, &usage);
	tap_eq(has_endbr(bytes, info.code_bytes),
	       !!(usage.features.mitigations & WRING_MITIGATION_IBT),
	       "endbr64 where the kernel wants it");
	free(bytes);
}

/* A program with a memory of so many pages and swap(address, value); or -errno. */
static int load_memory(uint32_t pages)
{
	struct wasm w = WASM_INIT;

	wasm_memory(&w, pages, 16);
	wasm_export(&w, "swap",
		    WASM_FUNCTION(&w, wasm_type(&w, "ii", "i"), "", OP_LOCAL_GET, 0, OP_I32_LOAD, 2,
				  0, OP_LOCAL_GET, 0, OP_LOCAL_GET, 1, OP_I32_STORE, 2, 0));
	return load(&w, "memory", NULL);
}

/* Address space and pages of released memories are used again: cleared, and no more of them than the memory has. */
static void test_reuse(void)
{
	static const uint32_t sizes[] = { 4, 1, 4, 2, 16, 1, 16 };
	uint32_t round, page, dirty, escapes;
	uint64_t seen;
	int program;

	for (round = 0; round < sizeof(sizes) / sizeof(sizes[0]); round++) {
		program = load_memory(sizes[round]);
		tap_ok(program >= 0, "a memory of %u pages: %s", sizes[round],
		       device_error.message);
		dirty = escapes = 0;
		for (page = 0; page < 18; page++) {
			seen = 0;
			if (!call(program, "swap", page << 16, ~0u, 2, &seen))
				escapes += page >= sizes[round];
			dirty += seen != 0;
		}
		tap_eq(dirty, 0, "is zero");
		tap_eq(escapes, 0, "and ends where it should");
		close(program);
		/* The program goes, and its memory with it, after a grace period. */
		usleep(200000);
	}
}

/* The binary comes back as it was given, in one piece or cut off. */
static void test_binary(void)
{
	struct wring_prog_module module = { .bytes = 10 };
	struct wasm w = WASM_INIT;
	uint8_t *bytes, *copy;
	size_t size;
	int program;

	wasm_export(&w, "f", WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_NOP));
	bytes = wasm_finish(&w, &size);
	program = device_load_module(device, "binary", bytes, size);
	tap_ok(program >= 0, "load: %s", device_error.message);
	copy = calloc(1, size + 1);
	module.buffer = (uintptr_t)copy;
	copy[10] = 0x77;
	tap_eq(device_ioctl(program, WRING_IOC_PROG_MODULE, &module), 0, "module, the beginning");
	tap_ok(!memcmp(copy, bytes, 10) && copy[10] == 0x77, "is cut off");
	tap_eq(module.bytes, size, "and its size told");
	copy[size] = 0x77;
	tap_eq(device_ioctl(program, WRING_IOC_PROG_MODULE, &module), 0, "module, all of it");
	tap_ok(!memcmp(copy, bytes, size) && copy[size] == 0x77, "is what was loaded");
	free(copy);
	free(bytes);
	close(program);
}

/* Every program lies at a place of its own within its page. */
static void test_placement(void)
{
	uint64_t first = 0;
	int i, moved = 0;

	for (i = 0; i < 8; i++) {
		struct wasm w = WASM_INIT;
		struct wring_prog_info info = {};
		int fd;

		wasm_export(&w, "f", WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_NOP));
		fd = load(&w, "placed", NULL);
		device_ioctl(fd, WRING_IOC_PROG_INFO, &info);
		close(fd);
		if (!i)
			first = info.code_address % 4096;
		moved += info.code_address % 4096 != first;
	}
	tap_ok(moved >= 4, "placement is random");
}

static void test_registry(void)
{
	struct wring_prog_load request = { .type = WRING_PROG_MODULE, .flags = WRING_PROG_F_KEEP };
	struct wring_prog_unload unload = {};
	struct wring_next_id next = {};
	struct wring_prog_open open_id = {};
	struct wring_prog_info info;
	struct wasm w = WASM_INIT;
	bool listed = false;
	uint32_t id, last = 0;
	uint64_t result;
	int fd;

	build_hostile(&w);
	fd = load(&w, "kept.prog-1", &request);
	tap_ok(fd >= 0, "load to keep: %s", device_error.message);
	id = request.id;
	tap_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "its fd is close-on-exec");
	info = info_of(fd);
	tap_eq(info.id, id, "its id");
	tap_eq(info.flags, WRING_PROG_F_KEEP, "its flags");
	tap_ok(!strcmp(info.name, "kept.prog-1"), "its name");
	tap_ok(info.load_time_ns && info.compile_ns && info.module_bytes, "its times and size");
	close(fd);
	while (!device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next)) {
		tap_ok(next.id > last, "ids ascend");
		last = next.id;
		listed |= next.id == id;
	}
	tap_ok(listed, "a kept program survives its fd");
	open_id.id = id;
	fd = device_ioctl(device, WRING_IOC_PROG_OPEN, &open_id);
	tap_ok(fd >= 0, "open by id");
	tap_eq(call(fd, "add", 1, 2, 2, &result), 0, "and run");
	tap_eq(device_ioctl(fd, WRING_IOC_PROG_UNLOAD, &unload), 0, "unload");
	tap_eq(info_of(fd).flags, 0, "it is not kept any more");
	tap_eq(device_ioctl(fd, WRING_IOC_PROG_UNLOAD, &unload), 0, "unloading again does no harm");
	close(fd);
	for (fd = 0; fd < 50 && !device_ioctl(device, WRING_IOC_PROG_OPEN, &open_id); fd++)
		usleep(100000);
	tap_eq(device_ioctl(device, WRING_IOC_PROG_OPEN, &open_id), -ENOENT, "it is gone");
}

static void test_limits(void)
{
	struct wring_prog_load request = { .type = WRING_PROG_MODULE, .max_memory_pages = 1 };
	struct wasm w = WASM_INIT;
	uint64_t result = 0;
	int fd;

	build_hostile(&w);
	fd = load(&w, "limited", &request);
	tap_ok(fd >= 0, "one page of memory at most: %s", device_error.message);
	tap_eq(call(fd, "grow", 1, 0, 1, &result), 0, "growing beyond the loader's limit");
	tap_eq((int32_t)result, -1, "is refused");
	close(fd);

	wasm_memory(&w, 2, 4);
	fd = load(&w, "limited", &request);
	tap_eq(fd, -EFBIG, "a memory over the limit from the start: %s", device_error.message);
	tap_eq(device_error.kind, WRING_ERROR_LIMIT, "  is a limit error");

	request = (struct wring_prog_load) { .type = WRING_PROG_MODULE, .max_table_entries = 3 };
	wasm_table(&w, 4, 4);
	fd = load(&w, "limited", &request);
	tap_eq(fd, -EFBIG, "a table over the limit: %s", device_error.message);

	request = (struct wring_prog_load) { .type = WRING_PROG_MODULE, .max_code_bytes = 64 };
	build_hostile(&w);
	fd = load(&w, "limited", &request);
	tap_eq(fd, -EFBIG, "code over the limit: %s", device_error.message);

	request = (struct wring_prog_load) { .type = WRING_PROG_MODULE, .stack_bytes = 49152 };
	build_hostile(&w);
	fd = load(&w, "limited", &request);
	tap_ok(fd >= 0, "the smallest stack");
	tap_eq(call(fd, "recurse", 0, 0, 0, &result), WRING_TRAP_StackExhausted, "is not overrun");
	close(fd);
}

static void test_bad_modules(void)
{
	static const uint8_t truncated[] = "\0asm\1\0\0\0\1\5\1\x60", not_wasm[] = "\x7f" "ELF....";
	struct wasm w = WASM_INIT;
	uint32_t type;
	int fd;

	fd = device_load_module(device, "bad", not_wasm, sizeof(not_wasm));
	tap_eq(fd, -ENOEXEC, "not Wasm: %s", device_error.message);
	fd = device_load_module(device, "bad", truncated, sizeof(truncated) - 1);
	tap_eq(fd, -ENOEXEC, "truncated: %s", device_error.message);
	tap_ok(device_error.offset != WRING_NO_INDEX_U32, "  at offset %u", device_error.offset);

	type = wasm_type(&w, "", "i");
	WASM_FUNCTION(&w, type, "", OP_NOP);
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -EINVAL, "wrongly typed: %s", device_error.message);
	tap_eq(device_error.kind, WRING_ERROR_INVALID, "  is a validation error");
	tap_ok(device_error.func == 0 && device_error.offset != WRING_NO_INDEX_U32,
	       "  in function 0 at offset %u", device_error.offset);

	wasm_import(&w, "env", "nobody\n", wasm_type(&w, "", ""));
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ENOLINK, "unknown import: %s", device_error.message);
	tap_ok(device_error.kind == WRING_ERROR_LINK && !strchr(device_error.message, '\n'),
	       "  printably");
	wasm_import_kind(&w, "env", "memory", 2, "\0\1", 2);
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ENOLINK, "imported memory: %s", device_error.message);
	wasm_import(&w, "wring_map", "counters", wasm_type(&w, "", "i"));
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ENOLINK, "map that was not given: %s", device_error.message);
	wasm_import(&w, "wring_map", "counters", wasm_type(&w, "i", "i"));
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ENOLINK, "map of another type: %s", device_error.message);

	wasm_start(&w, WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_UNREACHABLE));
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ECANCELED, "start function that traps: %s", device_error.message);
	tap_eq(device_error.trap, WRING_TRAP_Unreachable, "  with its reason");
	wasm_memory(&w, 1, 1);
	wasm_data(&w, 65535, "xy", 2);
	fd = load(&w, "bad", NULL);
	tap_eq(fd, -ECANCELED, "data beyond the memory: %s", device_error.message);
}

/* A fatal signal ends a run that has fuel for years. */
static void test_kill(int program)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		uint64_t fuel = 1ull << 60, result;

		device_invoke_fuel(program, "spin", NULL, 0, &result, &fuel);
		_exit(0);
	}
	usleep(300000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "an endless run can be killed");
	tap_eq(info_of(program).trap.reason, WRING_TRAP_Interrupted,
	       "and is recorded as interrupted");
}

int main(void)
{
	struct device_usage before;
	struct wasm w = WASM_INIT;
	int program;

	device = device_open();
	device_usage(device, &before);
	build_hostile(&w);
	program = load(&w, "hostile", NULL);
	if (!tap_ok(program >= 0, "load: %s", device_error.message))
		return tap_finish();
	test_calls(program);
	test_traps(program);
	test_fuel(program);
	test_memory(program);
	test_text(program);
	test_kill(program);
	close(program);
	test_reuse();
	test_binary();
	test_placement();
	test_registry();
	test_limits();
	test_bad_modules();
	tap_ok(device_settle(device, &before.features), "everything is given back");
	return tap_finish();
}
