// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_time.c - programs that would take too long, in what they compute, in what they have the library or the
 * kernel do: at hooks their time ends, in process context others get their turn meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define FREEZER "/tmp/freezer"
#define FREEZER_V2 "/sys/fs/cgroup/wring_frozen"
#define TRACER "/sys/kernel/tracing/instances/wring_test/"
/* The machine that emulates this one may be busy: what is expected of 2 ms. */
#define MUCH_NS 500000000ull

static int device;

/* Local 0 is an i64 that changes. */
static void put_divisions(struct wasm_body *body)
{
	int i;

	for (i = 0; i < 2000; i++)
		WASM_PUT(body, OP_LOCAL_GET, 0, OP_I64_CONST, 0x7f, 0x85 /* xor */, OP_LOCAL_GET,
			 0, OP_I64_CONST, 5, 0x84 /* or */, 0x80 /* div_u */, OP_LOCAL_SET, 0);
}

static void put_fill(struct wasm_body *body)
{
	WASM_PUT(body, OP_I32_CONST, 0, OP_I32_CONST, 1, OP_I32_CONST, 0x80, 0x80, 0xc0,
		 0x01 /* 3 MiB */, 0xfc, 11, 0);
}

static void put_copy(struct wasm_body *body)
{
	WASM_PUT(body, OP_I32_CONST, 8, OP_I32_CONST, 0, OP_I32_CONST, 0x80, 0x80, 0xc0, 0x01,
		 0xfc, 10, 0, 0);
}

static void put_stores(struct wasm_body *body)
{
	int i;

	/* A new page each time round. */
	for (i = 0; i < 500; i++)
		WASM_PUT(body, OP_LOCAL_GET, 0, OP_I64_CONST, 0x80, 0x20 /* 4096 */, OP_I64_ADD,
			 OP_LOCAL_TEE, 0, 0xa7 /* wrap */, OP_I32_CONST, 0xff, 0xff, 0xff,
			 0 /* 2 MiB */, 0x71 /* and */, OP_LOCAL_GET, 0, OP_I64_STORE, 0, 0);
}

/* Function 0 is wring.pkt_read. */
static void put_reads(struct wasm_body *body)
{
	int i;

	for (i = 0; i < 2000; i++)
		WASM_PUT(body, OP_I32_CONST, 0, OP_I32_CONST, 0, OP_I32_CONST, 0xc0, 0 /* 64 */,
			 OP_CALL, 0, OP_DROP);
}

struct work {
	const char *name;
	void (*put)(struct wasm_body *body);
};

static const struct work works[] = {
	{ "divisions", put_divisions },
	{ "stores all over the place", put_stores },
	{ "memory.fill", put_fill },
	{ "memory.copy", put_copy },
	{ "host calls", put_reads },
};

/* () -> i32 that does the work for ever, exported as main. */
static uint8_t *endless(const struct work *work, bool host, size_t *size)
{
	static struct wasm_body body;
	struct wasm w = WASM_INIT;
	uint32_t main;

	wasm_type(&w, "iii", "i");
	wasm_type(&w, "", "i");
	if (host)
		wasm_import(&w, "wring", "pkt_read", 0);
	wasm_memory(&w, 64, 64);
	body.size = 0;
	WASM_PUT(&body, OP_LOOP, OP_EMPTY_TYPE);
	work->put(&body);
	/* What is computed is used. */
	WASM_PUT(&body, OP_I32_CONST, 0, OP_LOCAL_GET, 0, OP_I64_STORE, 3, 0, OP_BR, 0, OP_END);
	WASM_PUT(&body, OP_UNREACHABLE);
	main = wasm_function(&w, 1, "l", body.bytes, body.size);
	wasm_export(&w, "main", main);
	return wasm_finish(&w, size);
}

static int load(const struct work *work, uint32_t type, uint64_t fuel, uint32_t time_us)
{
	struct wring_prog_load request = { .type = type, .fuel = fuel, .time_us = time_us,
					   .name = "endless" };
	size_t size;
	uint8_t *module = endless(work, type == WRING_PROG_XDP, &size);
	int fd = device_load(device, module, size, &request);

	free(module);
	return fd;
}

/* Runs an XDP program once; how long that took. */
static uint64_t run(int fd, uint32_t *trap)
{
	uint8_t packet[64] = {};
	struct wring_prog_run request = { .data_in = (uintptr_t)packet,
					  .data_in_bytes = sizeof(packet) };
	int err = device_ioctl(fd, WRING_IOC_PROG_RUN, &request);

	if (err)
		tap_bail("a run fails: %d", err);
	*trap = request.trap;
	return request.duration_ns;
}

static void test_hook(const struct work *work)
{
	/* Fuel for much longer. */
	int fd = load(work, WRING_PROG_XDP, 1ull << 32, 0), again;
	struct wring_prog_info info;
	uint32_t trap;
	uint64_t ns;

	if (!tap_ok(fd >= 0, "%s without end load: %s", work->name, device_error.message))
		return;
	ns = run(fd, &trap);
	tap_eq(trap, WRING_TRAP_OutOfTime, "and run out of time at a hook");
	tap_ok(ns < MUCH_NS, "after %llu us", (unsigned long long)ns / 1000);
	hook_info(fd, &info);
	tap_eq(info.time_us, 2000, "of which they had 2 ms");
	tap_eq(info.trap.reason, WRING_TRAP_OutOfTime, "which is on record: %s", info.trap.text);
	for (again = 0; again < 20 && trap == WRING_TRAP_OutOfTime; again++)
		ns = run(fd, &trap);
	tap_eq(trap, WRING_TRAP_OutOfTime, "each time");
	close(fd);

	fd = load(work, WRING_PROG_XDP, 20000, 0);
	run(fd, &trap);
	tap_eq(trap, WRING_TRAP_FuelExhausted, "with little fuel it is that which ends it");
	close(fd);
}

static void test_limits(void)
{
	int fd;

	tap_eq(load(&works[0], WRING_PROG_XDP, 0, 10001), -EINVAL, "more than 10 ms: %s",
	       device_error.message);
	tap_eq(load(&works[0], WRING_PROG_MODULE, 0, 100), -EINVAL,
	       "a time for what is no hook: %s", device_error.message);
	fd = load(&works[0], WRING_PROG_XDP, 0, 10000);
	tap_ok(fd >= 0, "10 ms");
	close(fd);
}

/*
 * Nothing interrupts an NMI, so there it is over sooner, whatever the loader has asked for. What they get done tells:
 * the machine that emulates this one may stop for any time. Another CPU is sent an NMI to show what it does; the
 * backtraces are no complaints: scripts/vm knows where they end.
 */
static void test_nmi(void)
{
	int fd = load(&works[0], WRING_PROG_RAW_TRACEPOINT, 1ull << 32, 10000), i, link;
	struct wring_prog_run request = {};
	struct wring_prog_info info;
	uint64_t most = 0;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		tap_note("one CPU sends no NMIs");
		return;
	}
	if (!tap_ok(fd >= 0, "for NMIs: loads: %s", device_error.message))
		return;
	for (i = 0; i < 5; i++) {
		if (device_ioctl(fd, WRING_IOC_PROG_RUN, &request))
			tap_bail("a run fails");
		most = request.fuel_used > most ? request.fuel_used : most;
	}
	close(fd);
	fd = load(&works[0], WRING_PROG_RAW_TRACEPOINT, 1ull << 32, 10000);
	link = hook_attach_tracepoint(device, fd, "nmi_handler");
	tap_ok(link > 0, "for NMIs: attaches");
	for (i = 0; i < 3; i++)
		tap_ok(write_file("/proc/sysrq-trigger", "l"), "an NMI is sent");
	sleep(2);
	tap_ok(write_file("/dev/kmsg", "end of the backtraces"), "the log says so");
	hook_info(fd, &info);
	tap_ok(info.traps > 0 && info.trap.reason == WRING_TRAP_OutOfTime,
	       "in NMIs %llu were out of time", (unsigned long long)info.traps);
	tap_ok(info.runs && info.fuel_used / info.runs < most / 4,
	       "after %llu units each, elsewhere it is up to %llu",
	       (unsigned long long)(info.fuel_used / (info.runs ?: 1)), (unsigned long long)most);
	tap_eq(hook_detach(device, link), 0, "for NMIs: detaches");
	close(fd);
	hook_sh("echo >/sys/kernel/tracing/trace");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static bool freezer_is(const char *state)
{
	char now[32] = {};
	int fd = open(FREEZER "/wring/freezer.state", O_RDONLY);
	ssize_t size = read(fd, now, sizeof(now) - 1);

	close(fd);
	return size > 0 && !strncmp(now, state, strlen(state));
}

/* Suspending the machine, or a cgroup, must not wait for guests. */
static void test_freezer(pid_t child)
{
	char pid[16];
	int i;

	hook_sh("mkdir -p " FREEZER " && mount -t cgroup -o freezer none " FREEZER
		" && mkdir -p " FREEZER "/wring");
	snprintf(pid, sizeof(pid), "%d", child);
	tap_ok(write_file(FREEZER "/wring/cgroup.procs", pid) &&
		       write_file(FREEZER "/wring/freezer.state", "FROZEN"),
	       "it is to be frozen");
	for (i = 0; i < 500 && !freezer_is("FROZEN"); i++)
		usleep(10000);
	tap_ok(freezer_is("FROZEN"), "it is within a guest");
	tap_ok(write_file(FREEZER "/wring/freezer.state", "THAWED"), "and thawed");
}

/* The same of cgroup v2, which freezes tasks on their way to user space: they are not on it. */
static void test_freezer_v2(pid_t child)
{
	char pid[16];
	int i;

	hook_sh("mkdir -p " FREEZER_V2);
	snprintf(pid, sizeof(pid), "%d", child);
	tap_ok(write_file(FREEZER_V2 "/cgroup.procs", pid) &&
		       write_file(FREEZER_V2 "/cgroup.freeze", "1"),
	       "it is to be frozen by cgroup v2");
	for (i = 0; i < 500 && read_number(FREEZER_V2 "/cgroup.events", "frozen") != 1; i++)
		usleep(10000);
	tap_eq(read_number(FREEZER_V2 "/cgroup.events", "frozen"), 1, "it is within a guest");
	tap_ok(write_file(FREEZER_V2 "/cgroup.freeze", "0"), "and thawed");
	for (i = 0; i < 500 && read_number(FREEZER_V2 "/cgroup.events", "frozen"); i++)
		usleep(10000);
	tap_eq(read_number(FREEZER_V2 "/cgroup.events", "frozen"), 0, "which is noticed");
}

/* Whether a child that runs the work, on the same CPU, lets this process sleep and wake up, and can be killed. */
static void test_turns(const struct work *work)
{
	int fd = load(work, WRING_PROG_MODULE, 1ull << 60, 0), i, status;
	double begin, longest = 0;
	pid_t child;

	if (!tap_ok(fd >= 0, "%s without end load as a module: %s", work->name,
		    device_error.message))
		return;
	child = fork();
	if (!child) {
		device_invoke(fd, "main", NULL, 0, NULL);
		_exit(0);
	}
	for (i = 0; i < 20; i++) {
		begin = seconds();
		usleep(10000);
		if (seconds() - begin > longest)
			longest = seconds() - begin;
	}
	tap_ok(longest < 2, "others get their turn within %.0f ms", longest * 1000);
	test_freezer(child);
	test_freezer_v2(child);
	kill(child, SIGKILL);
	begin = seconds();
	waitpid(child, &status, 0);
	tap_ok(WIFSIGNALED(status), "it can be killed");
	tap_ok(seconds() - begin < 2, "at once");
	hook_sh("rmdir " FREEZER "/wring && umount " FREEZER " && rmdir " FREEZER_V2);
	close(fd);
}

/* In the kernel for good. */
static void stay(int fd, uint32_t type)
{
	uint8_t packet[64] = {};
	struct wring_prog_run request = { .data_in = (uintptr_t)packet,
					  .data_in_bytes = sizeof(packet), .repeat = UINT32_MAX };

	if (type == WRING_PROG_MODULE)
		device_invoke(fd, "main", NULL, 0, NULL);
	else
		device_ioctl(fd, WRING_IOC_PROG_RUN, &request);
	_exit(0);
}

/* Function tracing waits until every task has slept or said that it might: a guest says so, and so does a test run. */
static void test_tracing(uint32_t type)
{
	int fd = load(&works[0], type, type == WRING_PROG_MODULE ? 1ull << 60 : 1ull << 32, 0);
	int status;
	double begin;
	pid_t child;

	if (fd < 0 || system("mkdir " TRACER " 2>/dev/null") ||
	    !write_file(TRACER "set_ftrace_filter", "vfs_fsync")) {
		tap_note("no function tracer here");
		close(fd);
		return;
	}
	child = fork();
	if (!child)
		stay(fd, type);
	usleep(100000);
	alarm(60);	/* what this test would hang in */
	begin = seconds();
	tap_ok(write_file(TRACER "current_tracer", "function"), "functions are traced");
	tap_ok(write_file(TRACER "current_tracer", "nop"), "and no more");
	tap_ok(seconds() - begin < 30, "within %.1f s, beside a %s that never ends",
	       seconds() - begin, type == WRING_PROG_MODULE ? "guest" : "test run");
	alarm(0);
	kill(child, SIGKILL);
	begin = seconds();
	waitpid(child, &status, 0);
	tap_ok(WIFSIGNALED(status) && seconds() - begin < 2, "which is killed at once");
	if (system("rmdir " TRACER))
		tap_note("the trace instance stays");
	close(fd);
}

int main(void)
{
	struct wring_features before;
	size_t i;

	device = hook_begin(&before);
	for (i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		test_hook(&works[i]);
	test_limits();
	test_nmi();
	/* Host calls of packets are hooks'. */
	for (i = 0; i < sizeof(works) / sizeof(works[0]) - 1; i++)
		test_turns(&works[i]);
	test_tracing(WRING_PROG_MODULE);
	test_tracing(WRING_PROG_XDP);
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
