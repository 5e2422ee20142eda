// SPDX-License-Identifier: GPL-2.0
/*
 * test_accounts.c - who pays: linear memory of any size, code, stacks and what loads need meanwhile are charged to the
 * loader's memory cgroup, to the page, and given back however a load ends; net.core.bpf_jit_limit holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "tap.h"
#include "wasm.h"

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/wring_accounts"
#define JIT_LIMIT "/proc/sys/net/core/bpf_jit_limit"
#define MIB (1l << 20)
/* What parts of slabs and of pages come to, and what processes leave in caches. */
#define SLACK (16 * 4096)

static int device;

/* ---- the cgroup ---- */

static void cgroup_set(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	if (!write_file(path, value))
		tap_bail("%s: %s", path, strerror(errno));
}

#define cgroup_get(file, key) read_number(CGROUP "/" file, key)

/* What is charged when all that is deferred is through and no CPU has anything in stock. */
static long settled(void)
{
	long now, last = -1;
	int same;

	for (same = 0; same < 3; same++) {
		/* Lowering this takes back what CPUs have in stock, and kills nobody. */
		cgroup_set("memory.high", "0");
		cgroup_set("memory.high", "max");
		now = cgroup_get("memory.current", NULL);
		if (now != last)
			same = 0;
		last = now;
		usleep(200000);
	}
	return now;
}

static void cgroup_begin(void)
{
	write_file(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	if (cgroup_get("memory.current", NULL) < 0) {
		rmdir(CGROUP);
		tap_skip_all("no memory cgroups");
	}
}

/* Runs fn in a process of the cgroup's; what it exits with. */
static int within(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		cgroup_set("cgroup.procs", "0");
		_exit(fn());
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		tap_bail("a process of the cgroup ended with status %#x", status);
	return WEXITSTATUS(status);
}

/* ---- modules ---- */

struct binary {
	uint8_t *bytes;
	size_t size;
};

/* A memory, of so many pages from the start, and peek(address). */
static struct binary memory_module(uint32_t pages)
{
	struct wasm w = WASM_INIT;
	struct binary binary;

	wasm_memory(&w, pages, 65536);
	wasm_export(&w, "peek",
		    WASM_FUNCTION(&w, wasm_type(&w, "i", "i"), "", OP_LOCAL_GET, 0, OP_I32_LOAD, 2,
				  0));
	wasm_export(&w, "grow",
		    WASM_FUNCTION(&w, wasm_type(&w, "i", "i"), "", OP_LOCAL_GET, 0, OP_MEMORY_GROW,
				  0));
	binary.bytes = wasm_finish(&w, &binary.size);
	return binary;
}

/* Functions that store constants: some 5 KiB of machine code each. */
static struct binary code_module(int functions)
{
	enum { STORES = 200, LENGTH = 9 };
	static const uint8_t store[LENGTH] = { OP_LOCAL_GET, 0,	   OP_I32_CONST, 0, 0,
					       OP_I32_STORE, 2, 0, OP_NOP };
	static uint8_t body[STORES * LENGTH];
	struct wasm w = WASM_INIT;
	uint32_t type = wasm_type(&w, "i", ""), function;
	struct binary binary;
	char name[16];
	int i, f;

	wasm_memory(&w, 1, 1);
	for (f = 0; f < functions; f++) {
		for (i = 0; i < STORES; i++) {
			memcpy(body + i * LENGTH, store, LENGTH);
			body[i * LENGTH + 3] = 0x80 | (i & 0x7f);
			body[i * LENGTH + 4] = f & 0x3f;
			/* At offsets of their own, so that no store is dead. */
			body[i * LENGTH + 7] = i & 0x7f;
		}
		function = wasm_function(&w, type, "", body, sizeof(body));
		snprintf(name, sizeof(name), "f%d", f);
		wasm_export(&w, name, function);
	}
	binary.bytes = wasm_finish(&w, &binary.size);
	return binary;
}

/* Spins in its start function until it is killed, with a memory of so many pages. */
static struct binary endless_module(uint32_t pages)
{
	struct wasm w = WASM_INIT;
	struct binary binary;

	wasm_memory(&w, pages, pages);
	wasm_start(&w, WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_LOOP, OP_EMPTY_TYPE, OP_BR,
				     0, OP_END));
	binary.bytes = wasm_finish(&w, &binary.size);
	return binary;
}

/* Traps in its start function, having grown its memory. */
static struct binary trapping_module(void)
{
	struct wasm w = WASM_INIT;
	struct binary binary;

	wasm_memory(&w, 1, 64);
	wasm_start(&w, WASM_FUNCTION(&w, wasm_type(&w, "", ""), "", OP_I32_CONST, 20,
				     OP_MEMORY_GROW, 0, OP_DROP, OP_UNREACHABLE));
	binary.bytes = wasm_finish(&w, &binary.size);
	return binary;
}

static int load(const struct binary *binary, uint32_t stack_bytes)
{
	struct wring_prog_load request = {
		.type = WRING_PROG_MODULE,
		.name = "account",
		.max_memory_pages = 65536,
		.stack_bytes = stack_bytes,
	};

	return device_load(device, binary->bytes, binary->size, &request);
}

/* ---- sizes that do not fit 32 bits ---- */

static struct binary subject;

static int load_subject(void)
{
	int fd = load(&subject, 0);

	return fd < 0 ? -fd : 0;
}

static uint32_t grow_by;

/* Loads a small memory and has it grow: 0, or 1 if that is refused. */
static int grow_subject(void)
{
	uint64_t arg = grow_by, result = 0;
	int fd = load(&subject, 0);

	return device_invoke(fd, "grow", &arg, 1, &result) ?: (int32_t)result == -1;
}

static void test_sizes(void)
{
	static const uint32_t sizes[] = { 2000, 16384, 32768, 49152, 65535, 65536 };
	long before;
	size_t i;

	cgroup_set("memory.max", "67108864");
	subject = memory_module(1);
	within(load_subject);
	free(subject.bytes);
	before = settled();
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		subject = memory_module(sizes[i]);
		tap_eq(within(load_subject), ENOMEM,
		       "a memory of %u pages is over the limit of 64 MiB", sizes[i]);
		free(subject.bytes);
		subject = memory_module(1);
		grow_by = sizes[i] - 1;
		tap_eq(within(grow_subject), 1, "and cannot be grown to either");
		free(subject.bytes);
	}
	tap_ok(settled() - before < SLACK, "nothing of it stays charged: %ld -> %ld", before,
	       settled());
	tap_ok(cgroup_get("memory.events", "max") > 0, "the limit was hit");
	tap_eq(cgroup_get("memory.events", "oom_kill"), 0, "and nobody killed");
	cgroup_set("memory.max", "max");
}

/* ---- what is charged as what ---- */

/* What is charged to the cgroup as kernel memory by the range: linear memory and code. */
static long by_range(void)
{
	return cgroup_get("memory.stat", "kernel") - cgroup_get("memory.stat", "slab") -
	       cgroup_get("memory.stat", "vmalloc") - cgroup_get("memory.stat", "percpu") -
	       cgroup_get("memory.stat", "kernel_stack") - cgroup_get("memory.stat", "pagetables");
}

static long code_bytes(void)
{
	struct device_usage usage;

	device_usage(device, &usage);
	return usage.features.code_bytes;
}

enum { COPIES = 6 };

/* Keeps programs until the parent, which waits meanwhile, has looked. */
static int ask[2], answer[2];

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		tap_bail("nobody listens: %s", strerror(errno));
}

static void hear(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		tap_bail("the other process has gone");
}

static int hold_copies(void)
{
	uint64_t arg = 0;
	int i, fd = -1;

	for (i = 0; i < COPIES; i++)
		fd = load(&subject, 8 * MIB);
	if (fd < 0)
		return -fd;
	tell(answer[1]);
	hear(ask[0]);
	/* The first call makes the program's stack. */
	device_invoke(fd, "f0", &arg, 1, NULL);
	tell(answer[1]);
	hear(ask[0]);
	/* Whoever is elsewhere when a program goes, its charges are where it was loaded. */
	if (!write_file(CGROUPS "/cgroup.procs", "0"))
		return 102;
	return 0;
}

static void test_kinds(void)
{
	long ranges, code, vmalloc, before, used = COPIES * 65536l;
	int status;
	pid_t pid;

	subject = code_module(50);
	if (pipe(ask) || pipe(answer))
		tap_bail("pipe: %s", strerror(errno));
	before = settled();
	ranges = by_range();
	code = code_bytes();
	pid = fork();
	if (!pid)
		_exit(within(hold_copies));
	close(ask[0]);
	close(answer[1]);
	hear(answer[0]);
	code = code_bytes() - code;
	ranges = by_range() - ranges;
	tap_ok(code > MIB, "%d programs have %ld bytes of code", COPIES, code);
	tap_ok(labs(ranges - code - used) < SLACK,
	       "they are charged, and %ld of linear memory: %ld", used, ranges);
	vmalloc = cgroup_get("memory.stat", "vmalloc");
	tell(ask[1]);
	hear(answer[0]);
	vmalloc = cgroup_get("memory.stat", "vmalloc") - vmalloc;
	tap_ok(labs(vmalloc - 8 * MIB) < SLACK, "a stack of 8 MiB is charged: %ld", vmalloc);
	tell(ask[1]);
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "the programs go while their loader is in another cgroup");
	usleep(500000);
	tap_ok(settled() - before < SLACK, "the cgroup gets all of it back: %ld -> %ld",
	       before, settled());
	close(ask[1]);
	close(answer[0]);
	free(subject.bytes);
}

/* ---- net.core.bpf_jit_limit ---- */

static void test_jit_limit(void)
{
	char limit[32] = {};
	FILE *file = fopen(JIT_LIMIT, "r");
	long code = code_bytes();
	int fd;

	if (!file || !fgets(limit, sizeof(limit), file))
		tap_bail("%s: %s", JIT_LIMIT, strerror(errno));
	fclose(file);
	subject = memory_module(1);
	if (!write_file(JIT_LIMIT, "4096"))
		tap_bail("%s: %s", JIT_LIMIT, strerror(errno));
	fd = load(&subject, 0);
	tap_eq(fd, -EPERM, "net.core.bpf_jit_limit holds for root too: %s", device_error.message);
	tap_ok(strstr(device_error.message, "bpf_jit_limit"), "and is named");
	tap_eq(device_instance(device, subject.bytes, subject.size, NULL, 0), -EPERM,
	       "also for instances: %s", device_error.message);
	write_file(JIT_LIMIT, limit);
	tap_eq(code_bytes(), code, "no code is left over");
	fd = load(&subject, 0);
	tap_ok(fd >= 0, "with the limit as it was: %s", device_error.message);
	close(fd);
	free(subject.bytes);
}

/* ---- loads that fail, or are killed ---- */

static struct binary good, cut, trapping, endless, large;

static void killed(const struct binary *binary, unsigned int delay)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		load(binary, 0);
		_exit(0);
	}
	usleep(delay);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* Every way to fail, once; 0 if each fails as it should. */
static int fail_all(void)
{
	struct wring_prog_load small = { .type = WRING_PROG_MODULE, .max_code_bytes = 64,
					 .name = "small" };
	static const unsigned int delays[] = { 500, 2000, 10000, 40000, 100000 };
	int wrong = 0;
	size_t i;

	wrong |= load(&cut, 0) != -ENOEXEC;
	wrong |= (load(&trapping, 0) != -ECANCELED) << 1;
	wrong |= (load(&good, 4096) != -EINVAL) << 2;
	wrong |= (device_load(device, good.bytes, good.size, &small) != -EFBIG) << 3;
	wrong |= (device_instance(device, cut.bytes, cut.size, NULL, 0) != -ENOEXEC) << 4;
	wrong |= (device_instance(device, trapping.bytes, trapping.size, NULL, 0) != -ECANCELED)
		 << 5;
	for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		killed(&endless, delays[i]);
		killed(&large, delays[i]);
		killed(&good, delays[i]);
	}
	return wrong;
}

/* With an account that is full in the midst of it: no load of this gets through. */
static int fail_full(void)
{
	int i, wrong = 0;

	for (i = 0; i < 5; i++)
		wrong += load(&large, 0) != -ENOMEM;
	return wrong;
}

static void test_failures(void)
{
	enum { ROUNDS = 12 };
	long first, last, full;
	int round, wrong = 0;

	good = code_module(20);
	cut = good;
	cut.size -= 1000;
	trapping = trapping_module();
	endless = endless_module(100);
	large = endless_module(4000);
	/* What the cgroup's first processes leave in caches is none of ours. */
	for (round = 0; round < 3; round++)
		within(fail_all);
	usleep(500000);
	first = settled();
	for (round = 0; round < ROUNDS; round++)
		wrong |= within(fail_all);
	usleep(500000);
	last = settled();
	tap_eq(wrong, 0, "loads fail, and loaders are killed, in every way");
	tap_ok(last - first < SLACK, "nothing stays charged: %ld -> %ld", first, last);

	cgroup_set("memory.max", "33554432");
	tap_eq(within(fail_full), 0, "loads that do not fit fail");
	usleep(500000);
	full = settled();
	tap_ok(full - last < SLACK, "nothing stays charged: %ld -> %ld", last, full);
	cgroup_set("memory.max", "max");
	free(good.bytes);
	free(trapping.bytes);
	free(endless.bytes);
	free(large.bytes);
}

int main(void)
{
	struct device_usage before, after;

	device = device_open();
	cgroup_begin();
	device_usage(device, &before);
	test_sizes();
	test_kinds();
	test_jit_limit();
	test_failures();
	tap_ok(device_settle(device, &before.features), "everything is given back");
	device_usage(device, &after);
	device_usage_is_back(&before, &after);
	tap_ok(!rmdir(CGROUP), "the cgroup can go");
	close(device);
	return tap_finish();
}
