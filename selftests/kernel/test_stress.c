// SPDX-License-Identifier: GPL-2.0
/*
 * test_stress.c - concurrent use, loaders killed at any point, full memory cgroups; nothing may leak.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "tap.h"
#include "wasm.h"

#define SECONDS 3
#define THREADS 4
#define KILLS 40

static int device;
static uint8_t *module;
static size_t module_size;

/* Memory of `pages` pages; spin() never ends, touch(address) stores. */
static void build_module(uint32_t pages)
{
	struct wasm w = WASM_INIT;
	uint32_t none = wasm_type(&w, "", ""), i = wasm_type(&w, "i", "");

	wasm_memory(&w, pages, 65536);
	wasm_export(&w, "spin",
		    WASM_FUNCTION(&w, none, "", OP_LOOP, OP_EMPTY_TYPE, OP_BR, 0, OP_END));
	wasm_export(&w, "touch",
		    WASM_FUNCTION(&w, i, "", OP_LOCAL_GET, 0, OP_LOCAL_GET, 0, OP_I32_STORE, 2, 0));
	free(module);
	module = wasm_finish(&w, &module_size);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ---- concurrency ---- */

struct worker {
	unsigned int seed;
	unsigned long done, unexpected;
	int shared;		/* a program all use */
};

static int load(int flags)
{
	struct wring_prog_load request = {
		.type = WRING_PROG_MODULE,
		.flags = flags,
		.module = (uintptr_t)module,
		.module_bytes = module_size,
		.name = "stress",
	};

	return device_ioctl(device, WRING_IOC_PROG_LOAD, &request);
}

static int invoke(int fd, const char *export, uint64_t fuel)
{
	uint64_t arg = 1000;
	struct wring_invoke request = {
		.name = (uintptr_t)export,
		.name_bytes = strlen(export),
		.args = (uintptr_t)&arg,
		.arg_count = !strcmp(export, "touch"),
		.fuel = fuel,
	};

	return device_ioctl(fd, WRING_IOC_INVOKE, &request);
}

static void work_once(struct worker *w)
{
	struct wring_prog_unload unload = {};
	struct wring_prog_info info = {};
	struct wring_prog_open by_id = {};
	struct wring_next_id next = {};
	int fd, ret = 0;

	switch (rand_r(&w->seed) % 6) {
	case 0:
		fd = load(0);
		ret = fd < 0 ? fd : invoke(fd, "touch", 0);
		close(fd);
		break;
	case 1:
		fd = load(WRING_PROG_F_KEEP);
		ret = fd < 0 ? fd : device_ioctl(fd, WRING_IOC_PROG_UNLOAD, &unload);
		close(fd);
		break;
	case 2:
		ret = invoke(w->shared, "spin", rand_r(&w->seed) % 100000 + 1);
		break;
	case 3:
		ret = device_ioctl(w->shared, WRING_IOC_PROG_INFO, &info);
		break;
	case 4:
		/* Others load and unload meanwhile: ids come and go. */
		while (!device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next)) {
			by_id.id = next.id;
			fd = device_ioctl(device, WRING_IOC_PROG_OPEN, &by_id);
			if (fd >= 0)
				close(fd);
			else if (fd != -ENOENT)
				ret = fd;
		}
		break;
	case 5:
		fd = device_instance(device, module, module_size, NULL, 0);
		ret = fd < 0 ? fd : invoke(fd, "touch", 0);
		close(fd);
		break;
	}
	w->done++;
	w->unexpected += ret != 0;
}

static void *work(void *arg)
{
	double end = now() + SECONDS;

	while (now() < end)
		work_once(arg);
	return NULL;
}

static void test_concurrent(void)
{
	struct worker workers[THREADS] = {};
	pthread_t threads[THREADS];
	unsigned long done = 0, unexpected = 0;
	int shared = load(0), i;

	tap_ok(shared >= 0, "a program for all threads");
	for (i = 0; i < THREADS; i++) {
		workers[i].seed = i + 1;
		workers[i].shared = shared;
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		done += workers[i].done;
		unexpected += workers[i].unexpected;
	}
	close(shared);
	tap_ok(done > THREADS, "%lu commands from %d threads", done, THREADS);
	tap_eq(unexpected, 0, "none failed");
}

/* ---- killed loaders ---- */

/* Those killed between loading a program to keep and unloading it leave it behind, as they should. */
static int unload_all(void)
{
	struct wring_prog_unload unload = {};
	struct wring_next_id next = {};
	int fd, unloaded = 0;

	while (!device_ioctl(device, WRING_IOC_PROG_NEXT_ID, &next)) {
		fd = device_ioctl(device, WRING_IOC_PROG_OPEN,
				  &(struct wring_prog_open) { .id = next.id });
		if (fd < 0)
			continue;
		unloaded += !device_ioctl(fd, WRING_IOC_PROG_UNLOAD, &unload);
		close(fd);
	}
	return unloaded;
}

static void test_killed(void)
{
	unsigned int seed = 7;
	int i, status, killed = 0;
	pid_t pid;

	for (i = 0; i < KILLS; i++) {
		pid = fork();
		if (!pid) {
			struct worker w = { .seed = i };

			w.shared = load(0);
			for (;;)
				work_once(&w);
		}
		usleep(rand_r(&seed) % 50000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
	}
	tap_eq(killed, KILLS, "%d loaders killed", KILLS);
	tap_note("%d kept programs unloaded", unload_all());
}

/* ---- memory cgroup ---- */

#define CGROUP "/sys/fs/cgroup/wring-stress"

/* In a child within the cgroup: exit status 0 if all went as it should, else a number that tells what did not. */
static int crowded(void)
{
	uint64_t result;
	int fd;

	if (!write_file(CGROUP "/cgroup.procs", "0"))
		return 1;
	build_module(1024);
	fd = device_load_module(device, "crowded", module, module_size);
	if (fd != -ENOMEM || device_error.kind != WRING_ERROR_NOMEM)
		return 2;
	fd = device_instance(device, module, module_size, NULL, 0);
	if (fd != -ENOMEM)
		return 3;
	build_module(1);
	fd = device_load_module(device, "crowded", module, module_size);
	if (fd < 0)
		return 4;
	return device_invoke(fd, "touch", (uint64_t[]) { 100 }, 1, &result) ? 5 : 0;
}

static void test_cgroup(void)
{
	int status;
	pid_t pid;

	if (!write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory") ||
	    (mkdir(CGROUP, 0755) && errno != EEXIST) ||
	    !write_file(CGROUP "/memory.max", "16777216")) {
		tap_ok(true, "memory cgroup # SKIP no memory controller");
		return;
	}
	pid = fork();
	if (!pid)
		_exit(crowded());
	waitpid(pid, &status, 0);
	tap_ok(WIFEXITED(status), "a full cgroup kills nobody");
	tap_eq(WEXITSTATUS(status), 0,
	       "a memory over the cgroup's limit is refused, a small one is not");
	rmdir(CGROUP);
}

/* ---- address space ---- */

#define MANY 4200

/* With four-level page tables there is room for some 3000 memories of 8 GiB each; then loading is refused. */
static void test_address_space(void)
{
	static int fds[MANY];
	struct wasm w = WASM_INIT;
	struct device_usage usage;
	size_t size;
	uint8_t *empty;
	int n, err = 0;

	wasm_memory(&w, 0, 1);
	empty = wasm_finish(&w, &size);
	for (n = 0; n < MANY && !err; n++) {
		fds[n] = device_instance(device, empty, size, NULL, 0);
		if (fds[n] < 0)
			err = fds[n--];
	}
	device_usage(device, &usage);
	tap_note("%d memories, %u reservations: %s", n, usage.features.reservations,
		 err ? device_error.message : "no limit reached");
	tap_ok(n > 1000, "many memories");
	tap_ok(!err || (err == -ENOMEM && device_error.message[0]), "more are refused clearly");
	while (n--)
		close(fds[n]);
	n = device_instance(device, empty, size, NULL, 0);
	tap_ok(n >= 0, "afterwards there is room again");
	close(n);
	free(empty);
}

/* ---- leaks ---- */

static void test_no_leak(const struct wring_features *idle)
{
	struct device_usage before, after;
	int round, i, fd;

	/* The first round fills caches and pools. */
	for (round = 0; round < 2; round++) {
		device_settle(device, idle);
		device_usage(device, &before);
		for (i = 0; i < 150; i++) {
			fd = load(i % 2 ? WRING_PROG_F_KEEP : 0);
			if (i % 2)
				device_ioctl(fd, WRING_IOC_PROG_UNLOAD,
					     &(struct wring_prog_unload) {});
			close(fd);
			close(device_instance(device, module, module_size, NULL, 0));
			/* A module that ends too early. */
			device_load_module(device, "cut", module, module_size * (i % 10) / 10);
		}
		tap_ok(device_settle(device, idle), "round %d: all freed", round);
		device_usage(device, &after);
	}
	device_usage_is_back(&before, &after);
	tap_ok(after.features.reservations_pooled <= 64, "the pool of reservations is bounded");
}

int main(void)
{
	/* What the test before this one left is freed in its own time. */
	const struct wring_features idle = {};

	device = device_open();
	build_module(1);
	tap_ok(device_settle(device, &idle), "nothing is in use at the start");
	test_concurrent();
	test_killed();
	test_cgroup();
	setrlimit(RLIMIT_NOFILE, &(struct rlimit) { MANY + 100, MANY + 100 });
	test_address_space();
	build_module(1);
	test_no_leak(&idle);
	tap_ok(device_settle(device, &idle), "everything is given back");
	return tap_finish();
}
