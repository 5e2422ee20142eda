// SPDX-License-Identifier: GPL-2.0
/*
 * test_aftermath.c - what becomes of programs after traps, as their loaders ask for: instances made anew, programs
 * detached; and what is counted of invocations, wherever they come from.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define RESETS 200

static int device;

static void wait_a_bit(void)
{
	nanosleep(&(struct timespec) { .tv_nsec = 5000000 }, NULL);
}

static struct wring_prog_info info_of(int program)
{
	struct wring_prog_info info;

	hook_info(program, &info);
	return info;
}

/*
 * The start function stores 100 to memory[4]. The program counts in memory[0]; the third invocation traps; others
 * answer count + memory[4] + arg(1). The instance as it was made is thus told from one that was used.
 */
static int load_counting(struct wring_prog_load *load)
{
	struct wasm w = WASM_INIT;
	uint32_t arg, start, none = wasm_type(&w, "", ""), i = wasm_type(&w, "", "i");
	uint8_t *module;
	size_t size;
	int fd;

	arg = wasm_import(&w, "wring", "arg", wasm_type(&w, "i", "l"));
	wasm_memory(&w, 1, 1);
	start = WASM_FUNCTION(&w, none, "", OP_I32_CONST, 4, OP_I32_CONST, 0xe4, 0, OP_I32_STORE, 2,
			      0);
	wasm_export(&w, "main",
		    WASM_FUNCTION(&w, i, "i", OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I32_LOAD, 2, 0,
				  OP_I32_CONST, 1, OP_I32_ADD, OP_LOCAL_TEE, 0, OP_I32_STORE, 2, 0,
				  OP_LOCAL_GET, 0, OP_I32_CONST, 3, 0x4e /* ge_s */, OP_IF,
				  OP_EMPTY_TYPE, OP_UNREACHABLE, OP_END, OP_I32_CONST, 4,
				  OP_I32_LOAD, 2, 0, OP_LOCAL_GET, 0, OP_I32_ADD, OP_I32_CONST, 1,
				  OP_CALL, arg, 0xa7 /* wrap */, OP_I32_ADD));
	wasm_start(&w, start);
	module = wasm_finish(&w, &size);
	load->type = WRING_PROG_RAW_TRACEPOINT;
	strcpy(load->name, "counting");
	fd = device_load(device, module, size, load);
	free(module);
	return fd;
}

static const uint64_t args[2] = { 7, 1000 };

static void test_keep(void)
{
	struct wring_prog_load load = {};
	int program = load_counting(&load), i;

	if (!tap_ok(program >= 0, "keep: loads: %s", device_error.message))
		return;
	tap_eq(hook_run(program, args, sizeof(args), 1).verdict, 1101, "keep: the first");
	tap_eq(hook_run(program, args, sizeof(args), 1).verdict, 1102, "keep: the second");
	for (i = 0; i < 3; i++)
		tap_eq(hook_run(program, args, sizeof(args), 1).trap, WRING_TRAP_Unreachable,
		       "keep: a trap, memory being as it was left");
	tap_eq(info_of(program).runs, 5, "keep: all runs are counted, trapped ones too");
	tap_eq(info_of(program).misses, 0, "keep: nothing is missed");
	close(program);
}

/* Until the instance has been made anew. */
static struct wring_prog_run run_anew(int program)
{
	struct wring_prog_run run;
	int i;

	for (i = 0; i < 2000; i++) {
		run = hook_run(program, args, sizeof(args), 1);
		if (run.verdict || run.trap)
			return run;
		wait_a_bit();
	}
	tap_bail("the instance is not made anew");
}

static void test_reset(bool private_stack)
{
	struct wring_prog_load load = { .on_trap = WRING_ON_TRAP_RESET,
					.stack_bytes = private_stack ? 131072 : 0 };
	struct wring_features features = {};
	int program = load_counting(&load), i, wrong = 0;
	struct wring_prog_info info;
	uint64_t calls = 0;

	if (!tap_ok(program >= 0, "reset: loads: %s", device_error.message))
		return;
	for (i = 0; i < RESETS; i++) {
		wrong += run_anew(program).verdict != 1101;
		wrong += hook_run(program, args, sizeof(args), 1).verdict != 1102;
		wrong += hook_run(program, args, sizeof(args), 1).trap != WRING_TRAP_Unreachable;
		calls += 3;
	}
	tap_eq(wrong, 0, "reset: every instance is as the first was, its start function run");
	info = info_of(program);
	tap_eq(info.runs, calls, "reset: runs of all instances are counted");
	tap_eq(info.traps, RESETS, "reset: as are traps");
	tap_eq(info.misses, info.misses_reset, "reset: what was missed was so for that");
	tap_eq(info.on_trap, WRING_ON_TRAP_RESET, "reset: info says so");
	run_anew(program);
	device_ioctl(device, WRING_IOC_FEATURES, &features);
	tap_eq(features.reservations, info.instances, "reset: as many memories as at first");
	/* The last one trapping, and the program going at once. */
	hook_run(program, args, sizeof(args), 1);
	hook_run(program, args, sizeof(args), 1);
	close(program);
}

/* Where the system calls of this machine trap every third time, and tasks come from interrupts. */
static void test_reset_attached(void)
{
	struct wring_prog_load load = { .on_trap = WRING_ON_TRAP_RESET };
	int program = load_counting(&load), entry, interrupt, i;
	struct wring_prog_info info;

	if (!tap_ok(program >= 0, "attached: loads: %s", device_error.message))
		return;
	entry = hook_attach_tracepoint(device, program, "sys_enter");
	interrupt = hook_attach_tracepoint(device, program, "irq_handler_entry");
	tap_ok(entry > 0 && interrupt > 0, "attached: to sys_enter and irq_handler_entry");
	for (i = 0; i < 20000; i++)
		syscall(SYS_getppid);
	for (i = 0; i < 100; i++) {
		wait_a_bit();
		info = info_of(program);
		if (info.traps >= 5)
			break;
	}
	tap_ok(info.traps >= 5 && info.misses_reset > 0,
	       "attached: %llu traps, %llu misses meanwhile", (unsigned long long)info.traps,
	       (unsigned long long)info.misses_reset);
	tap_ok(info.runs >= 3 * info.traps, "attached: three runs for each");
	/* Not before sys_enter, which has fewer arguments than the other. */
	tap_eq(hook_detach(device, interrupt), 0, "attached: detaches");
	tap_eq(hook_detach(device, entry), 0, "attached: detaches");
	close(program);
}

/*
 * A start function that returns when the program is loaded and, once the map's element is not 0, runs on or waits for
 * ever; main traps.
 */
static int load_stuck(int map, bool waits)
{
	struct wring_map_ref ref = { .name = "stuck", .fd = map };
	struct wring_prog_load load = { .type = WRING_PROG_XDP, .name = "stuck",
					.on_trap = WRING_ON_TRAP_RESET,
					.maps = (uintptr_t)&ref, .map_count = 1 };
	struct wasm w = WASM_INIT;
	uint32_t handle, read, start;
	struct wasm_body body = {};
	uint8_t *module;
	size_t size;
	int fd;

	handle = wasm_import(&w, "wring_map", "stuck", wasm_type(&w, "", "i"));
	read = wasm_import(&w, "wring", "map_load64", wasm_type(&w, "iii", "l"));
	wasm_memory(&w, 1, 1);
	WASM_PUT(&body, OP_CALL, handle, OP_I32_CONST, 0, OP_I32_CONST, 0, OP_CALL, read,
		 OP_I64_EQZ, OP_IF, OP_EMPTY_TYPE, OP_RETURN, OP_END);
	if (waits)	/* memory.atomic.wait32 of memory[0] == 0, without end */
		WASM_PUT(&body, OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I64_CONST, 0x7f, 0xfe, 1, 2, 0,
			 OP_DROP);
	else
		WASM_PUT(&body, OP_LOOP, OP_EMPTY_TYPE, OP_BR, 0, OP_END);
	start = wasm_function(&w, wasm_type(&w, "", ""), "", body.bytes, body.size);
	wasm_export(&w, "main", WASM_FUNCTION(&w, wasm_type(&w, "", "i"), "", OP_UNREACHABLE));
	wasm_start(&w, start);
	module = wasm_finish(&w, &size);
	fd = device_load(device, module, size, &load);
	free(module);
	return fd;
}

/* Where no signal could end it, and which no cgroup of the loader's limits. */
static void test_stuck(bool waits, const struct wring_features *before)
{
	const char *what = waits ? "waits" : "runs on";
	uint32_t packet[16] = {}, key = 0;
	uint64_t value = 1;
	int map, program, i;
	struct timespec begin, end;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "stuck", 4, 8, 1, NULL);
	program = load_stuck(map, waits);
	if (!tap_ok(program >= 0, "a start function that later %s: loads: %s", what,
		    device_error.message))
		return;
	bpf_map_update_elem(map, &key, &value, BPF_ANY);
	for (i = 0; i < 20; i++) {
		hook_run(program, packet, sizeof(packet), 1);
		wait_a_bit();
	}
	tap_eq(info_of(program).traps, 1, "%s: one trap, and no instance since", what);
	tap_ok(info_of(program).misses_reset > 0, "%s: but misses", what);
	close(program);
	close(map);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	tap_ok(device_settle(device, before), "%s: the program goes all the same", what);
	clock_gettime(CLOCK_MONOTONIC, &end);
	tap_ok(end.tv_sec - begin.tv_sec < 8, "%s: soon", what);
}

static void test_detach(void)
{
	struct wring_prog_load load = { .on_trap = WRING_ON_TRAP_DETACH, .trap_limit = 4 };
	int program = load_counting(&load), i;
	struct wring_prog_info info;

	if (!tap_ok(program >= 0, "detach: loads: %s", device_error.message))
		return;
	tap_eq(info_of(program).trap_limit, 4, "detach: the limit is shown");
	tap_ok(hook_attach_tracepoint(device, program, "sys_enter") > 0, "detach: attaches");
	tap_ok(hook_attach_tracepoint(device, program, "sys_enter") > 0, "detach: twice");
	for (i = 0; i < 100; i++)
		syscall(SYS_getppid);
	tap_ok(hook_wait_links(device, 0), "detach: it is detached");
	info = info_of(program);
	tap_ok(info.traps >= 4 && info.links == 0, "detach: after %llu traps, from everything",
	       (unsigned long long)info.traps);
	tap_ok(hook_attach_tracepoint(device, program, "sys_enter") > 0,
	       "detach: it can be attached again");
	syscall(SYS_getppid);
	tap_ok(hook_wait_links(device, 0), "detach: until the next trap");
	close(program);
}

/* Loops as often as the packet's first four bytes say: each turn costs the same. */
static int load_looping(struct wring_prog_load *load)
{
	struct wasm w = WASM_INIT;
	uint32_t read = wasm_import(&w, "wring", "pkt_load32", wasm_type(&w, "i", "i"));
	uint8_t *module;
	size_t size;
	int fd;

	wasm_export(&w, "main",
		    WASM_FUNCTION(&w, wasm_type(&w, "", "i"), "i", OP_I32_CONST, 0, OP_CALL, read,
				  OP_LOCAL_SET, 0, OP_LOOP, OP_EMPTY_TYPE, OP_LOCAL_GET, 0,
				  OP_I32_CONST, 1, OP_I32_SUB, OP_LOCAL_TEE, 0, OP_BR_IF, 0, OP_END,
				  OP_I32_CONST, 1));
	module = wasm_finish(&w, &size);
	load->type = WRING_PROG_XDP;
	strcpy(load->name, "looping");
	fd = device_load(device, module, size, load);
	free(module);
	return fd;
}

static void test_timeouts(void)
{
	struct wring_prog_load load = { .timeout_limit = 3 };
	uint32_t packet[16] = { 0 };	/* 2^32 turns */
	int program = load_looping(&load), stub = hook_stub(BPF_PROG_TYPE_XDP, 1), i;

	if (!tap_ok(program >= 0, "timeouts: loads: %s", device_error.message))
		return;
	tap_ok(hook_attach_stub(device, program, stub) > 0, "timeouts: attaches");
	for (i = 0; i < 2; i++)
		tap_eq(hook_test_run(stub, packet, sizeof(packet)), 2,
		       "timeouts: the default verdict");
	wait_a_bit();
	tap_eq(hook_link_count(device), 1, "timeouts: two are not too many");
	hook_test_run(stub, packet, sizeof(packet));
	tap_ok(hook_wait_links(device, 0), "timeouts: three are");
	tap_eq(hook_test_run(stub, packet, sizeof(packet)), 1,
	       "timeouts: what is left is the stub's verdict");
	tap_eq(info_of(program).traps, 3, "timeouts: all were traps");
	close(stub);
	close(program);
}

/* What one invocation with a loop of so many turns takes, as the run says; it is what info counts. */
static uint64_t fuel_of(int program, uint32_t turns)
{
	uint32_t packet[16] = { turns };
	uint64_t before = info_of(program).fuel_used;
	struct wring_prog_run run = hook_run(program, packet, sizeof(packet), 1);

	tap_eq(info_of(program).fuel_used - before, run.fuel_used, "%u turns: as info counts it",
	       turns);
	return run.fuel_used;
}

/* Stub-bound invocations are counted as others are; the time only if the administrator asks. */
static void test_statistics(void)
{
	struct wring_prog_load load = { .fuel = 200000, .time_us = 10000 };
	uint32_t packet[16] = { 50 };
	int program = load_looping(&load), stub = hook_stub(BPF_PROG_TYPE_XDP, 1), i, stats;
	uint64_t few, some, many, time, runs = 3;
	struct wring_prog_info info;
	struct wring_prog_run run;

	if (!tap_ok(program >= 0, "statistics: loads: %s", device_error.message))
		return;
	tap_ok(hook_attach_stub(device, program, stub) > 0, "statistics: attaches");
	/* The last ones take more than a slice of fuel. */
	few = fuel_of(program, 1000);
	some = fuel_of(program, 2000);
	many = fuel_of(program, 21000);
	tap_ok(few >= 1000, "1000 turns take %llu units", (unsigned long long)few);
	tap_eq(many - few, 20 * (some - few), "fuel is counted by the turn, over slices too");
	packet[0] = 0;
	/* A machine that is held up meanwhile may find that the time is over first. */
	do
		run = hook_run(program, packet, sizeof(packet), 1);
	while (++runs < 20 && run.trap == WRING_TRAP_OutOfTime);
	tap_eq(run.trap, WRING_TRAP_FuelExhausted, "a run that uses it up");
	tap_eq(run.fuel_used, load.fuel, "uses all of it");

	info = info_of(program);
	tap_eq(info.runs, runs, "test runs are counted");
	tap_eq(info.run_time_ns, 0, "but not timed by default");
	packet[0] = 1000;
	for (i = 0; i < 10; i++)
		hook_test_run(stub, packet, sizeof(packet));
	tap_eq(info_of(program).runs, runs + 10, "so are runs through the stub");
	tap_eq(info_of(program).fuel_used - info.fuel_used, 10 * few, "and their fuel");

	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (!tap_ok(stats >= 0, "statistics are switched on"))
		return;
	for (i = 0; i < 10; i++)
		hook_test_run(stub, packet, sizeof(packet));
	close(stats);
	info = info_of(program);
	tap_eq(info.runs, runs + 20, "timed runs are counted");
	tap_ok(info.run_time_ns > 1000, "and timed: %llu ns", (unsigned long long)info.run_time_ns);
	time = info.run_time_ns;
	hook_test_run(stub, packet, sizeof(packet));
	tap_eq(info_of(program).run_time_ns, time, "until they are switched off");
	close(stub);
	close(program);
}

static void test_bad_requests(void)
{
	struct wring_prog_load no_limit = { .trap_limit = 3 }, unknown = { .on_trap = 3 };
	struct wring_prog_load module = { .type = WRING_PROG_MODULE, .name = "m",
					  .on_trap = WRING_ON_TRAP_RESET };
	static const uint8_t empty[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };

	tap_eq(load_counting(&no_limit), -22, "a limit without its action: %s",
	       device_error.message);
	tap_eq(load_counting(&unknown), -22, "an unknown action: %s", device_error.message);
	tap_eq(device_load(device, empty, sizeof(empty), &module), -22, "not of a hook: %s",
	       device_error.message);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	hook_stay_on_this_cpu();
	test_keep();
	test_reset(false);
	test_reset(true);
	test_reset_attached();
	test_stuck(false, &before);
	test_stuck(true, &before);
	test_detach();
	test_timeouts();
	test_statistics();
	test_bad_requests();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
