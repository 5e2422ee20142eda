// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_nesting.c - programs that interrupt each other, and programs that hit the tracepoints other programs are
 * attached to: nesting ends in misses that are counted, on every kind of stack, and what ran runs again afterwards. All
 * the time they have together is that of the outermost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

/* More than there are stacks, by far. */
#define PROGRAMS 24
/* If each had its own time: 12 * 11 * 10 times that of one. */
#define SPINNING 12
#define MUCH_LONGER 60
/* Values that are kept across the call: a frame of some 2 KB. */
#define VALUES 230
#define VALUES_AT 64

static int device;

/* A body under construction. */
struct body {
	uint8_t code[VALUES * 20 + 64];
	size_t size;
};

static void put_byte(struct body *body, uint8_t byte)
{
	if (body->size == sizeof(body->code))
		tap_bail("the body is too large");
	body->code[body->size++] = byte;
}

static void put_number(struct body *body, uint32_t n)
{
	for (; n >= 0x80; n >>= 7)
		put_byte(body, 0x80 | (n & 0x7f));
	put_byte(body, n);
}

static void put_i32(struct body *body, uint32_t n)
{
	put_byte(body, OP_I32_CONST);
	/* As signed LEB128: bit 6 of the last byte is the sign. */
	for (; n >= 0x40; n >>= 7)
		put_byte(body, 0x80 | (n & 0x7f));
	put_byte(body, n);
}

/* Logs a line, or loads from beyond its memory, in the midst of a large frame; answers 1. */
static uint8_t *deep_program(bool faults, size_t *size)
{
	struct wasm w = WASM_INIT;
	struct body body = {};
	uint32_t log, main, i;
	char locals[VALUES + 1];

	memset(locals, 'l', VALUES);
	locals[VALUES] = 0;
	wasm_type(&w, "iilll", "");
	wasm_type(&w, "", "i");
	log = wasm_import(&w, "wring", "log", 0);
	wasm_memory(&w, 1, 1);
	for (i = 0; i < VALUES; i++) {
		put_i32(&body, VALUES_AT + 8 * i);
		put_byte(&body, OP_I64_LOAD);
		put_byte(&body, 3);
		put_byte(&body, 0);
		put_byte(&body, OP_LOCAL_SET);
		put_number(&body, i);
	}
	put_i32(&body, 0);
	put_i32(&body, faults ? 0 : 2);
	for (i = 0; i < 3; i++) {
		put_byte(&body, OP_I64_CONST);
		put_byte(&body, i);
	}
	put_byte(&body, OP_CALL);
	put_number(&body, log);
	if (faults) {
		put_i32(&body, 0x10000000);
		put_byte(&body, OP_I32_LOAD);
		put_byte(&body, 2);
		put_byte(&body, 0);
		put_byte(&body, OP_DROP);
	}
	for (i = 0; i < VALUES; i++) {
		put_i32(&body, 8192 + 8 * i);
		put_byte(&body, OP_LOCAL_GET);
		put_number(&body, i);
		put_byte(&body, OP_I64_STORE);
		put_byte(&body, 3);
		put_byte(&body, 0);
	}
	put_i32(&body, 1);
	main = wasm_function(&w, 1, locals, body.code, body.size);
	wasm_data(&w, 0, "hi", 2);
	wasm_export(&w, "main", main);
	return wasm_finish(&w, size);
}

static int load(bool faults, uint32_t type, int index)
{
	struct wring_prog_load request = { .type = type };
	size_t size;
	uint8_t *module = deep_program(faults, &size);
	int fd;

	snprintf(request.name, sizeof(request.name), "deep%d", index);
	fd = device_load(device, module, size, &request);
	free(module);
	if (fd < 0)
		tap_bail("a program does not load: %s", device_error.message);
	return fd;
}

struct programs {
	int fd[PROGRAMS], link[PROGRAMS];
};

static void attach_all(struct programs *programs, bool faults, const char *tracepoint)
{
	int i, attached = 0;

	for (i = 0; i < PROGRAMS; i++) {
		programs->fd[i] = load(faults, WRING_PROG_RAW_TRACEPOINT, i);
		programs->link[i] = hook_attach_tracepoint(device, programs->fd[i], tracepoint);
		attached += programs->link[i] > 0;
	}
	tap_eq(attached, PROGRAMS, "programs attach to %s", tracepoint);
}

static void detach_all(struct programs *programs)
{
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		hook_detach(device, programs->link[i]);
		close(programs->fd[i]);
	}
}

/* Sums of all programs. */
static struct wring_prog_info count(const struct programs *programs)
{
	struct wring_prog_info sum = {}, info;
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		hook_info(programs->fd[i], &info);
		sum.traps += info.traps;
		sum.misses += info.misses;
		sum.misses_busy += info.misses_busy;
		sum.misses_fpu += info.misses_fpu;
		sum.misses_depth += info.misses_depth;
	}
	return sum;
}

/* Runs once, on a given packet or none: the verdict, or -errno. */
static int run(int fd, bool packet)
{
	uint8_t data[64] = {};
	struct wring_prog_run request = {};
	int err;

	if (packet) {
		request.data_in = (uintptr_t)data;
		request.data_in_bytes = sizeof(data);
	}
	err = device_ioctl(fd, WRING_IOC_PROG_RUN, &request);
	if (err)
		tap_note("the run fails: %d", err);
	return err ?: request.trap ? -1000 - (int)request.trap : (int)request.verdict;
}

/* What programs log hits wring_log, where all of them are. */
static void test_log(uint32_t type, bool packet)
{
	struct programs programs;
	struct wring_prog_info info;
	int outer = load(false, type, PROGRAMS);

	attach_all(&programs, false, "wring_log");
	tap_eq(run(outer, packet), 1, "a program of type %u that hits them answers", type);
	info = count(&programs);
	tap_ok(info.misses_depth > 0, "%llu times there was no stack left",
	       (unsigned long long)info.misses_depth);
	/* That a program hits its own tracepoint the kernel's glue sees first. */
	tap_eq(info.misses_busy, 0, "no program came upon itself");
	tap_eq(info.misses_fpu, 0, "the FPU had nothing to do with it");
	tap_eq(info.misses, info.misses_busy + info.misses_depth, "the causes add up");
	tap_eq(info.traps, 0, "nothing trapped");
	detach_all(&programs);
	tap_eq(run(outer, packet), 1, "alone it answers again");
	hook_info(outer, &info);
	tap_eq(info.misses, 0, "it was never missed itself");
	close(outer);
}

/* Faults are traps, and each hits the tracepoint of page faults on its way. */
static void test_faults(void)
{
	struct programs programs;
	struct wring_prog_info info;
	int outer = load(true, WRING_PROG_XDP, PROGRAMS), verdict;

	attach_all(&programs, true, "page_fault_kernel");
	verdict = run(outer, true);
	tap_eq(verdict, -1000 - WRING_TRAP_MemoryOutOfBounds, "a program that faults traps");
	info = count(&programs);
	tap_ok(info.traps > 0, "so did %llu others within it", (unsigned long long)info.traps);
	tap_ok(info.misses_depth > 0, "%llu times there was no stack left",
	       (unsigned long long)info.misses_depth);
	detach_all(&programs);
	close(outer);
}

/*
 * NMIs have a stack of 4 KiB. Another CPU is sent one to show what it does. The backtraces are no complaints:
 * scripts/vm knows where they end.
 */
static void test_nmi(void)
{
	struct programs programs, nested;
	struct wring_prog_info info;
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		tap_note("one CPU sends no NMIs");
		return;
	}
	attach_all(&programs, false, "nmi_handler");
	attach_all(&nested, false, "wring_log");
	for (i = 0; i < 3; i++)
		tap_ok(write_file("/proc/sysrq-trigger", "l"), "an NMI is sent");
	sleep(2);
	tap_ok(write_file("/dev/kmsg", "end of the backtraces"), "the log says so");
	info = count(&nested);
	tap_ok(info.misses_depth > 0, "programs nested in it until there was no stack left: %llu",
	       (unsigned long long)info.misses_depth);
	detach_all(&nested);
	detach_all(&programs);
	/* Other tests look for lines of their own. */
	hook_sh("echo >/sys/kernel/tracing/trace");
}

/* Logs a line, then goes on for ever. */
static int load_spinning(uint32_t type)
{
	/* Fuel for much longer than there is time. */
	struct wring_prog_load request = { .type = type, .fuel = 1ull << 32, .name = "spins" };
	struct wasm w = WASM_INIT;
	uint8_t *module;
	uint32_t log, main;
	size_t size;
	int fd;

	wasm_type(&w, "iilll", "");
	wasm_type(&w, "", "i");
	log = wasm_import(&w, "wring", "log", 0);
	wasm_memory(&w, 1, 1);
	main = WASM_FUNCTION(&w, 1, "", OP_I32_CONST, 0, OP_I32_CONST, 2, OP_I64_CONST, 0,
			     OP_I64_CONST, 1, OP_I64_CONST, 2, OP_CALL, log, OP_LOOP,
			     OP_EMPTY_TYPE, OP_BR, 0, OP_END, OP_UNREACHABLE);
	wasm_data(&w, 0, "hi", 2);
	wasm_export(&w, "main", main);
	module = wasm_finish(&w, &size);
	fd = device_load(device, module, size, &request);
	free(module);
	if (fd < 0)
		tap_bail("a program that spins does not load: %s", device_error.message);
	return fd;
}

/* The shortest of some runs of a program that runs out of time. */
static uint64_t time_spinning(int fd)
{
	uint8_t packet[64] = {};
	struct wring_prog_run request;
	uint64_t least = UINT64_MAX;
	int i;

	for (i = 0; i < 5; i++) {
		request = (struct wring_prog_run) { .data_in = (uintptr_t)packet,
						    .data_in_bytes = sizeof(packet) };
		if (device_ioctl(fd, WRING_IOC_PROG_RUN, &request))
			tap_bail("a run fails");
		tap_eq(request.trap, WRING_TRAP_OutOfTime, "it runs out of time");
		if (request.duration_ns < least)
			least = request.duration_ns;
	}
	return least;
}

/* However many programs are nested in one: all have together what that one has. */
static void test_time(void)
{
	int outer = load_spinning(WRING_PROG_XDP), fd[SPINNING], link[SPINNING], i;
	uint64_t alone = time_spinning(outer), together;
	uint64_t runs = 0, misses = 0;
	struct wring_prog_info info;

	for (i = 0; i < SPINNING; i++) {
		fd[i] = load_spinning(WRING_PROG_RAW_TRACEPOINT);
		link[i] = hook_attach_tracepoint(device, fd[i], "wring_log");
		if (link[i] <= 0)
			tap_bail("a program that spins does not attach");
	}
	together = time_spinning(outer);
	for (i = 0; i < SPINNING; i++) {
		hook_info(fd[i], &info);
		runs += info.runs;
		misses += info.misses_depth;
		hook_detach(device, link[i]);
		close(fd[i]);
	}
	tap_ok(runs > 0 && misses > 0, "%llu programs were nested in it, %llu came too late",
	       (unsigned long long)runs, (unsigned long long)misses);
	tap_ok(together < MUCH_LONGER * alone, "alone it takes %llu us, with all these %llu",
	       (unsigned long long)alone / 1000, (unsigned long long)together / 1000);
	close(outer);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	test_log(WRING_PROG_RAW_TRACEPOINT, false);
	test_log(WRING_PROG_XDP, true);
	test_log(WRING_PROG_NETFILTER, true);
	test_faults();
	test_nmi();
	test_time();
	tap_eq(hook_link_count(device), 0, "no links are left");
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
