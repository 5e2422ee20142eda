// SPDX-License-Identifier: GPL-2.0
/*
 * test_pace.c - a load of one function that takes long to compile: others get the CPU meanwhile, its loader can be
 * killed at any time, and a full memory cgroup ends it, and nothing but it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "tap.h"
#include "wasm.h"

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/wring_pace"
#define MS 1000000ll

static int device;

struct binary {
	uint8_t *bytes;
	size_t size;
};

static uint8_t *put(uint8_t *at, uint8_t opcode, uint32_t operand)
{
	*at++ = opcode;
	for (; operand >= 0x80; operand >>= 7)
		*at++ = 0x80 | (operand & 0x7f);
	*at++ = operand;
	return at;
}

/* `depth` loops in each other, as many locals, each changed in one and looked at in another: quadratic in values. */
static struct binary slow_module(uint32_t depth)
{
	struct wasm w = WASM_INIT;
	struct binary binary;
	uint8_t *body = malloc(depth * 32), *at = body;
	char *locals = malloc(depth + 1);
	uint32_t i;

	memset(locals, 'i', depth);
	locals[depth] = 0;
	for (i = 0; i < depth; i++) {
		at = put(at, OP_LOOP, OP_EMPTY_TYPE);
		at = put(at, OP_LOCAL_GET, i);
		at = put(at, OP_I32_CONST, 1);
		*at++ = OP_I32_ADD;
		at = put(at, OP_LOCAL_SET, i);
	}
	for (i = 0; i < depth; i++) {
		at = put(at, OP_LOCAL_GET, i * 7 % depth);
		at = put(at, OP_BR_IF, 0);
		*at++ = OP_END;
	}
	at = put(at, OP_LOCAL_GET, 0);
	wasm_export(&w, "run",
		    wasm_function(&w, wasm_type(&w, "", "i"), locals, body, at - body));
	binary.bytes = wasm_finish(&w, &binary.size);
	free(locals);
	free(body);
	return binary;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void use_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		tap_bail("sched_setaffinity: %s", strerror(errno));
}

/* A process that loads the module on the test's CPU, and exits with the error. */
static pid_t start_load(const struct binary *binary)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = device_load_module(device, "slow", binary->bytes, binary->size);
	if (fd < 0)
		fprintf(stderr, "# %s\n", device_error.message);
	_exit(fd < 0 ? -fd : 0);
}

/* The longest time that this process, which wants to run every 2 ms, did not while `pid` lives. */
static long long longest_wait(pid_t pid, int *status)
{
	long long longest = 0, before = now(), after;

	while (!waitpid(pid, status, WNOHANG)) {
		usleep(2000);
		after = now();
		if (after - before > longest)
			longest = after - before;
		before = after;
	}
	return longest;
}

static void test_turns(void)
{
	struct binary binary = slow_module(700);
	long long begin, all, longest;
	int status = -1;

	begin = now();
	longest = longest_wait(start_load(&binary), &status);
	all = now() - begin;
	tap_eq(status, 0, "a function that takes long to compile is loaded, in %lld ms", all / MS);
	tap_ok(all > 300 * MS, "it does take long");
	/* The machine that emulates this one may be busy: not all the time, as if there were no turns. */
	tap_ok(longest < all / 3, "others on that CPU waited for at most %lld ms", longest / MS);
	free(binary.bytes);
}

static void test_kill(void)
{
	static const int delays[] = { 20, 70, 200, 500, 1000 };
	struct binary binary = slow_module(1400);
	long long begin;
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		pid = start_load(&binary);
		usleep(delays[i] * 1000);
		begin = now();
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		begin = now() - begin;
		tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		       "a loader is killed after %d ms", delays[i]);
		tap_ok(begin < 1000 * MS, "and gone %lld ms later", begin / MS);
	}
	free(binary.bytes);
}

/* ---- the cgroup ---- */

#define cgroup_get(file, key) read_number(CGROUP "/" file, key)

/* In the cgroup: somebody who has nothing to do with it, then the load. Exits with the load's error. */
static int load_beside_another(const struct binary *binary)
{
	pid_t bystander = fork();
	int status;

	if (!bystander) {
		pause();
		_exit(1);
	}
	waitpid(start_load(binary), &status, 0);
	if (waitpid(bystander, NULL, WNOHANG))
		return 100;
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

static void test_cgroup(void)
{
	struct binary binary = slow_module(1400);
	int status;
	pid_t pid;

	write_file(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	if (!write_file(CGROUP "/memory.max", "67108864")) {
		tap_note("no memory cgroups");
		rmdir(CGROUP);
		return;
	}
	pid = fork();
	if (!pid) {
		if (!write_file(CGROUP "/cgroup.procs", "0"))
			_exit(102);
		_exit(load_beside_another(&binary));
	}
	waitpid(pid, &status, 0);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == ENOMEM,
	       "a load that needs more than its memory cgroup has ends with ENOMEM: %#x", status);
	tap_ok(cgroup_get("memory.events", "max") > 0, "at its limit");
	tap_eq(cgroup_get("memory.events", "oom_kill"), 0, "and nobody is killed");
	tap_ok(!rmdir(CGROUP), "the cgroup can go");
	free(binary.bytes);
}

int main(void)
{
	struct device_usage before, after;

	device = device_open();
	use_one_cpu();
	device_usage(device, &before);
	test_turns();
	test_kill();
	test_cgroup();
	tap_ok(device_settle(device, &before.features), "nothing is left");
	device_usage(device, &after);
	device_usage_is_back(&before, &after);
	close(device);
	return tap_finish();
}
