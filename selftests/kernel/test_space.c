// SPDX-License-Identifier: GPL-2.0
/*
 * test_space.c - address space that costs no memory: what linear memories and tables of one user may reserve of it, and
 * what is left to others.
 *
 * Only where the kernel's range is small enough to be used up (4 levels of page tables: boot with no5lvl).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define PER_MODULE 100
#define MODULES 2000
#define USER 1000
/* Of address space. A table entry takes 24 bytes. */
#define MEMORY_KB (8.0 * 1024 * 1024)
#define TABLE_KB (24e6 / 1024)

static int device;

/* KiB of address space for vmalloc. */
static long total_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long total = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "VmallocTotal: %ld", &total);
	if (file)
		fclose(file);
	return total;
}

/* A module of so many empty memories, or of tables that may grow to the most there is: they are exported. */
static uint8_t *reserving(uint8_t section, size_t *size)
{
	static const uint8_t memory[] = { 0x01, 0, 0x80, 0x80, 0x04 };
	static const uint8_t table[] = { 0x70, 0x01, 0, 0xc0, 0x84, 0x3d };
	const void *entry = section == WASM_MEMORY ? memory : table;
	size_t bytes = section == WASM_MEMORY ? sizeof(memory) : sizeof(table);
	uint8_t *module = calloc(1, 8192), *at = module;
	uint32_t i;

	if (!module)
		tap_bail("no memory");
	at = mempcpy(at, "\0asm\1\0\0\0", 8);
	*at++ = section;
	*at++ = ((PER_MODULE * bytes + 1) & 127) | 128;
	*at++ = (PER_MODULE * bytes + 1) >> 7;
	*at++ = PER_MODULE;
	for (i = 0; i < PER_MODULE; i++)
		at = mempcpy(at, entry, bytes);
	*at++ = WASM_EXPORT;
	*at++ = ((PER_MODULE * 5 + 1) & 127) | 128;
	*at++ = (PER_MODULE * 5 + 1) >> 7;
	*at++ = PER_MODULE;
	for (i = 0; i < PER_MODULE; i++) {
		*at++ = 2;
		*at++ = '0' + i / 10;
		*at++ = '0' + i % 10;
		*at++ = section == WASM_MEMORY ? 2 : 1;
		*at++ = i;
	}
	*size = at - module;
	return module;
}

/* With CAP_BPF and nothing else. */
static void become_user(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	data[CAP_TO_INDEX(CAP_BPF)].permitted = CAP_TO_MASK(CAP_BPF);
	data[CAP_TO_INDEX(CAP_BPF)].effective = CAP_TO_MASK(CAP_BPF);
	if (prctl(PR_SET_KEEPCAPS, 1) || syscall(SYS_setresuid, USER, USER, USER) ||
	    syscall(SYS_capset, &header, data))
		_exit(99);
}

/* Takes instances until there are no more: how many; *err is why. */
static int take_all(uint8_t section, int *err)
{
	int made = -1, fd = 0;
	uint8_t *module;
	size_t size;

	module = reserving(section, &size);
	for (; fd >= 0 && made < MODULES; made++)
		fd = device_instance(device, module, size, NULL, 0);
	free(module);
	*err = fd < 0 ? fd : 0;
	return made;
}

struct taken {
	int memories, tables;	/* modules of them */
	int memories_err, tables_err;
};

/* A user who takes what there is, and stays. */
static pid_t greedy_user(struct taken *taken)
{
	int report[2];
	pid_t child;

	if (pipe(report))
		tap_bail("no pipe");
	child = fork();
	if (!child) {
		become_user();
		taken->memories = take_all(WASM_MEMORY, &taken->memories_err);
		taken->tables = take_all(WASM_TABLE, &taken->tables_err);
		if (write(report[1], taken, sizeof(*taken)) == sizeof(*taken))
			pause();
		_exit(0);
	}
	close(report[1]);
	if (read(report[0], taken, sizeof(*taken)) != sizeof(*taken))
		tap_bail("the greedy user says nothing");
	close(report[0]);
	return child;
}

static void test_others(uint8_t section, const char *what)
{
	uint8_t *module;
	size_t size;
	int fd;

	module = reserving(section, &size);
	fd = device_instance(device, module, size, NULL, 0);
	tap_ok(fd >= 0, "who administers the machine still gets %s: %s", what,
	       device_error.message);
	close(fd);
	free(module);
}

static void test_greedy(double total)
{
	struct taken taken;
	double share;
	pid_t child;

	child = greedy_user(&taken);
	tap_eq(taken.memories_err, -ENOMEM, "a user gets no more memories after %d",
	       taken.memories * PER_MODULE);
	tap_eq(taken.tables_err, -ENOMEM, "and no more tables after %d", taken.tables * PER_MODULE);
	share = (taken.memories * MEMORY_KB + taken.tables * TABLE_KB) * PER_MODULE / total;
	tap_ok(share > 0.3 && share <= 0.375, "they take %.3f of the range, 3/8 at most", share);
	test_others(WASM_MEMORY, "memories");
	test_others(WASM_TABLE, "tables");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(void)
{
	struct wring_features before;
	double total = total_kb();

	if (total > 1e11)
		tap_skip_all("the range for vmalloc is too large to be used up");
	/* KASAN's shadow of thousands of tables is more than there is memory. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		tap_skip_all("a debug kernel");
	device = hook_begin(&before);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit) { MODULES + 100, MODULES + 100 });
	test_greedy(total);
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
