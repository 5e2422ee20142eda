// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_rawtp.c - raw tracepoint programs: counts against an eBPF twin, arguments that exist
 * and that do not, several links, what is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define CALLS 1000
/* One that nothing else in the VM makes. */
#define RARE_SYSCALL SYS_getpgid

static int device;

static void make_calls(uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		syscall(RARE_SYSCALL, 0);
}

static void test_counting(void)
{
	struct hook_program program, twin;
	int id, second, link;

	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, NULL, &program);
	if (!tap_ok(program.fd >= 0, "the counting program loads: %s", device_error.message))
		return;
	hook_load_bpf("syscall_count", &twin);
	make_calls(CALLS);
	tap_eq(hook_counter(hook_map(&program, "syscalls"), RARE_SYSCALL), 0,
	       "nothing is counted before it is attached");
	link = bpf_raw_tracepoint_open("sys_enter", twin.fd);
	id = hook_attach_tracepoint(device, program.fd, "sys_enter");
	tap_ok(id > 0, "it attaches to sys_enter: %s", device_error.message);
	make_calls(CALLS);
	tap_eq(hook_counter(hook_map(&program, "syscalls"), RARE_SYSCALL), CALLS,
	       "every call is counted");
	tap_eq(hook_counter(hook_map(&twin, "syscalls"), RARE_SYSCALL), CALLS,
	       "as the eBPF twin does");
	second = hook_attach_tracepoint(device, program.fd, "sys_enter");
	tap_ok(second > 0, "a second link of the same program");
	make_calls(CALLS);
	tap_eq(hook_counter(hook_map(&program, "syscalls"), RARE_SYSCALL), 3 * CALLS,
	       "counts once more");
	tap_eq(hook_detach(device, id), 0, "detaching the first");
	make_calls(CALLS);
	tap_eq(hook_counter(hook_map(&program, "syscalls"), RARE_SYSCALL), 4 * CALLS,
	       "leaves the second");
	tap_eq(hook_detach(device, second), 0, "detaching the second");
	make_calls(CALLS);
	tap_eq(hook_counter(hook_map(&program, "syscalls"), RARE_SYSCALL), 4 * CALLS,
	       "ends the counting");
	close(link);
	hook_free(&twin);
	hook_free(&program);
}

static void test_arguments(void)
{
	struct hook_program program;
	uint64_t runs;
	int id, other, i, zero;

	hook_load(device, "hook_args", WRING_PROG_RAW_TRACEPOINT, NULL, &program);
	if (!tap_ok(program.fd >= 0, "a program that reads arguments loads: %s",
		    device_error.message))
		return;
	id = hook_attach_tracepoint(device, program.fd, "sys_enter");
	tap_ok(id > 0, "and attaches");
	hook_set(hook_map(&program, "wanted"), 0, getpid());
	syscall(RARE_SYSCALL, 0);
	/* The next one is the kernel's view of this very command. */
	hook_set(hook_map(&program, "wanted"), 0, 0);
	runs = hook_counter(hook_map(&program, "seen"), 15);
	tap_ok(runs >= 2, "calls of this process were seen (%llu)", (unsigned long long)runs);
	tap_ok(hook_counter(hook_map(&program, "seen"), 0) >> 47, "argument 0 is a kernel pointer");
	tap_eq(hook_counter(hook_map(&program, "seen"), 1), SYS_bpf,
	       "argument 1 is the call's number");
	for (i = 2, zero = 1; i < 15; i++)
		zero &= !hook_counter(hook_map(&program, "seen"), i);
	tap_ok(zero, "there are no others");
	tap_eq(hook_attach_tracepoint(device, program.fd, "softirq_entry"), -EINVAL,
	       "a second tracepoint may not have fewer arguments");
	other = hook_attach_tracepoint(device, program.fd, "sched_switch");
	tap_ok(other > 0, "but more: %s", device_error.message);
	hook_detach(device, other);
	hook_detach(device, id);
	id = hook_attach_tracepoint(device, program.fd, "softirq_entry");
	tap_ok(id > 0, "on its own any will do");
	hook_detach(device, id);
	hook_free(&program);
}

static void test_refusals(void)
{
	struct wring_link_attach attach = { .rawtp.tp_name = "sys_enter" };
	struct hook_program program;
	int stub = hook_stub(BPF_PROG_TYPE_RAW_TRACEPOINT, 0);

	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, NULL, &program);
	if (program.fd < 0)
		return;
	tap_eq(hook_attach_tracepoint(device, program.fd, "no_such_tracepoint"), -ENOENT,
	       "an unknown tracepoint");
	tap_ok(strstr(device_error.message, "no_such_tracepoint"), "is named: %s",
	       device_error.message);
	tap_eq(hook_attach_tracepoint(device, program.fd, ""), -ENOENT, "no tracepoint");
	tap_eq(hook_attach_stub(device, program.fd, stub), -EINVAL, "a stub is not asked for");
	attach.prog_fd = program.fd;
	((uint8_t *)attach.room)[sizeof(attach.rawtp)] = 1;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "nor what other hooks are asked for with");
	memset(&attach.rawtp, 'x', sizeof(attach.rawtp));
	((uint8_t *)attach.room)[sizeof(attach.rawtp)] = 0;
	tap_eq(device_ioctl(device, WRING_IOC_LINK_ATTACH, &attach), -EINVAL,
	       "a name that does not end");
	close(stub);
	hook_free(&program);
}

/* A program whose verdict is what map_update of a new element says, or nothing. */
static int load_updating(int map)
{
	struct wring_map_ref ref = { .name = "m", .fd = map };
	struct wring_prog_load load = { .type = WRING_PROG_RAW_TRACEPOINT, .name = "updating",
					.maps = (uintptr_t)&ref, .map_count = 1 };
	uint32_t handle, update;
	struct wasm w = WASM_INIT;
	uint8_t *module;
	size_t size;
	int fd;

	handle = wasm_import(&w, "wring_map", "m", wasm_type(&w, "", "i"));
	update = wasm_import(&w, "wring", "map_update", wasm_type(&w, "iiil", "i"));
	wasm_memory(&w, 1, 1);
	wasm_export(&w, "main",
		    WASM_FUNCTION(&w, wasm_type(&w, "", "i"), "", OP_CALL, handle, OP_I32_CONST, 0,
				  OP_I32_CONST, 16, OP_I64_CONST, 0, OP_CALL, update));
	module = wasm_finish(&w, &size);
	fd = device_load(device, module, size, &load);
	free(module);
	return fd;
}

/* Locks of maps, which a tracepoint may be hit within. */
static void test_locks(void)
{
	static const struct {
		uint32_t type;
		const char *name;
		int result;
	} types[] = {
		{ BPF_MAP_TYPE_HASH, "hash", 0 },
		{ BPF_MAP_TYPE_ARRAY, "array", 0 },
		{ BPF_MAP_TYPE_PERCPU_HASH, "per-CPU hash", 0 },
		{ BPF_MAP_TYPE_LRU_HASH, "LRU hash", -EOPNOTSUPP },
		{ BPF_MAP_TYPE_LRU_PERCPU_HASH, "LRU per-CPU hash", -EOPNOTSUPP },
		{ BPF_MAP_TYPE_LPM_TRIE, "LPM trie", -EOPNOTSUPP },
	};
	LIBBPF_OPTS(bpf_map_create_opts, options);
	struct hook_program counting;
	uint64_t args[2] = {};
	int map, fd, id, i;

	for (i = 0; i < (int)(sizeof(types) / sizeof(types[0])); i++) {
		bool is_trie = types[i].type == BPF_MAP_TYPE_LPM_TRIE;

		options.map_flags = is_trie ? BPF_F_NO_PREALLOC : 0;
		map = bpf_map_create(types[i].type, "m", is_trie ? 8 : 4, 8, 4, &options);
		fd = load_updating(map);
		if (tap_ok(fd >= 0, "a program that updates a map of type %s loads: %s",
			   types[i].name, device_error.message))
			tap_eq((int)hook_run(fd, args, sizeof(args), 1).verdict, types[i].result,
			       "which it %s", types[i].result ? "may not" : "may");
		if (!i) {
			tap_eq(hook_attach_tracepoint(device, fd, "contention_begin"), -EOPNOTSUPP,
			       "but not where locks are waited for: %s", device_error.message);
			tap_eq(hook_attach_tracepoint(device, fd, "contention_end"), -EOPNOTSUPP,
			       "nor where they have been taken");
			id = hook_attach_tracepoint(device, fd, "sched_process_exit");
			tap_ok(id > 0, "elsewhere it may");
			hook_detach(device, id);
		}
		close(fd);
		close(map);
	}
	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, NULL, &counting);
	id = hook_attach_tracepoint(device, counting.fd, "contention_begin");
	tap_ok(id > 0, "who only counts may be there: %s", device_error.message);
	hook_detach(device, id);
	hook_free(&counting);
}

/* All programs that one event runs take so long together at most. */
static void test_many_links(void)
{
	struct wring_link_detach all = { .flags = WRING_LINK_F_ALL };
	struct wring_prog_load load = {};
	struct hook_program program;
	int links = 0, id, other;

	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, &load, &program);
	if (program.fd < 0)
		return;
	do
		id = hook_attach_tracepoint(device, program.fd, "sched_process_fork");
	while (id > 0 && ++links < 1000);
	tap_eq(links, 50, "of 2 ms each, so many links fit one tracepoint");
	tap_eq(id, -ENOSPC, "and no more: %s", device_error.message);
	other = hook_attach_tracepoint(device, program.fd, "sched_switch");
	tap_ok(other > 0, "at another one there is room");
	tap_eq(device_ioctl(device, WRING_IOC_LINK_DETACH, &all), 0, "all of them are detached");
	tap_eq(all.detached, links + 1, "at once");
	hook_free(&program);
	load.time_us = 1;
	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, &load, &program);
	for (links = 0; links < 60; links++)
		if (hook_attach_tracepoint(device, program.fd, "sched_process_fork") < 0)
			break;
	tap_eq(links, 60, "of those that take less, more fit");
	all = (struct wring_link_detach) { .flags = WRING_LINK_F_ALL };
	device_ioctl(device, WRING_IOC_LINK_DETACH, &all);
	hook_free(&program);
}

static void test_run(void)
{
	uint64_t args[12] = { 0, 77 };
	struct wring_prog_run run = { .data_in = (uintptr_t)args, .data_in_bytes = sizeof(args) };
	struct hook_program program;

	hook_load(device, "syscall_count", WRING_PROG_RAW_TRACEPOINT, NULL, &program);
	if (program.fd < 0)
		return;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a run without a hook");
	tap_eq(hook_counter(hook_map(&program, "syscalls"), 77), 1, "gets the arguments given");
	args[1] = 1ull << 40;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0, "a key that is no u32");
	tap_eq(hook_counter(hook_map(&program, "syscalls"), 0), 1, "is cut off, as C does");
	args[1] = 512;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), 0,
	       "a key beyond the map does nothing");
	run.data_in_bytes = 9;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINVAL, "half an argument");
	run.data_in_bytes = sizeof(args) + 8;
	tap_eq(device_ioctl(program.fd, WRING_IOC_PROG_RUN, &run), -EINVAL, "too many arguments");
	hook_free(&program);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	test_counting();
	test_arguments();
	test_refusals();
	test_locks();
	test_many_links();
	test_run();
	tap_eq(hook_link_count(device), 0, "no links are left");
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
