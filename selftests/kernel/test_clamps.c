// SPDX-License-Identifier: GPL-2.0
/*
 * test_clamps.c - whose programs' bounds checks hold under speculation: those of loaders without CAP_PERFMON, as told
 * by the program's information and by its machine code; and that such programs do what others do.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device.h"
#include "hooks.h"
#include "tap.h"
#include "wasm.h"

#define BIT(n) (1ull << (n))
#define BPF BIT(CAP_BPF)
#define NET BIT(CAP_NET_ADMIN)
#define PERFMON BIT(CAP_PERFMON)
#define ADMIN BIT(CAP_SYS_ADMIN)
#define ALL (~0ull)

static int device;

static void set_effective(uint64_t capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int i;

	if (syscall(SYS_capget, &header, data))
		tap_bail("capget");
	for (i = 0; i < 2; i++)
		data[i].effective = data[i].permitted & capabilities >> 32 * i;
	if (syscall(SYS_capset, &header, data))
		tap_bail("capset");
}

/* The packet's byte that its first four name. (One byte alone would be too small an index to be worth a clamp.) */
static void build_program(struct wasm *w)
{
	uint32_t type = wasm_type(w, "i", "i");
	uint32_t load32 = wasm_import(w, "wring", "pkt_load32", type);
	uint32_t load8 = wasm_import(w, "wring", "pkt_load8", type);

	wasm_export(w, "run",
		    WASM_FUNCTION(w, wasm_type(w, "", "i"), "", OP_I32_CONST, 0, OP_CALL, load32,
				  OP_CALL, load8));
}

/* A program fd, or -errno. */
static int load_as(uint64_t capabilities, uint32_t type, uint32_t flags)
{
	struct wring_prog_load load = { .type = type, .name = "clamps", .flags = flags };
	struct wasm w = WASM_INIT;
	size_t size;
	uint8_t *module;
	int fd;

	build_program(&w);
	module = wasm_finish(&w, &size);
	set_effective(capabilities);
	fd = device_load(device, module, size, &load);
	set_effective(ALL);
	return fd;
}

static bool is_clamped(int fd)
{
	struct wring_prog_info info;

	hook_info(fd, &info);
	return info.flags & WRING_PROG_F_CLAMPED;
}

/* How often a register gets the carry in all bits and is anded with another: sbb r, r; and r, r2. */
static uint32_t count_clamps(int fd)
{
	static uint8_t code[4096];
	struct wring_prog_code request = { .buffer = (uintptr_t)code, .bytes = sizeof(code) };
	uint32_t i, next, clamps = 0;

	if (device_ioctl(fd, WRING_IOC_PROG_CODE, &request) || request.bytes > sizeof(code))
		tap_bail("no code");
	for (i = 0; i + 5 < request.bytes; i++) {
		if ((code[i] | 2) != 0x1b || code[i + 1] < 0xc0 || (code[i + 1] - 0xc0) % 9)
			continue;
		next = i + 2;
		next += (code[next] & 0xf0) == 0x40;
		clamps += (code[next] | 2) == 0x23 && code[next + 1] >= 0xc0;
	}
	return clamps;
}

static int run(int fd)
{
	uint8_t packet[64] = { 20 };
	struct wring_prog_run request = {
		.data_in = (uintptr_t)packet,
		.data_in_bytes = sizeof(packet),
	};

	packet[20] = 2;
	return device_ioctl(fd, WRING_IOC_PROG_RUN, &request) ?: (int)request.verdict;
}

static uint32_t mitigations_of(uint64_t capabilities)
{
	struct wring_features features = {};

	set_effective(capabilities);
	if (device_ioctl(device, WRING_IOC_FEATURES, &features))
		tap_bail("features");
	set_effective(ALL);
	return features.mitigations & WRING_MITIGATION_CLAMPS;
}

static void test_loader(const char *who, uint64_t capabilities, uint32_t flags, bool clamped)
{
	int fd = load_as(capabilities, WRING_PROG_XDP, flags);

	if (!tap_ok(fd >= 0, "%s loads: %s", who, device_error.message))
		return;
	tap_eq(is_clamped(fd), clamped, "%s: the program is %sclamped", who, clamped ? "" : "not ");
	if (clamped)
		tap_ok(count_clamps(fd) >= 1, "and so is its code");
	else
		tap_eq(count_clamps(fd), 0, "nor is its code");
	tap_eq(run(fd), 2, "it does what it does");
	close(fd);
}

int main(void)
{
	struct wring_features before;
	int fd;

	device = hook_begin(&before);
	test_loader("CAP_BPF with CAP_NET_ADMIN", BPF | NET, 0, true);
	test_loader("CAP_PERFMON besides", BPF | NET | PERFMON, 0, false);
	test_loader("CAP_SYS_ADMIN", ADMIN | NET, 0, false);
	test_loader("who asks for it", ALL, WRING_PROG_F_CLAMPED, true);
	tap_ok(mitigations_of(BPF | NET), "features say so without CAP_PERFMON");
	tap_ok(!mitigations_of(BPF | NET | PERFMON), "and with it");
	fd = load_as(ALL, WRING_PROG_XDP, WRING_PROG_F_CLAMPED << 1);
	tap_eq(fd, -EINVAL, "the flag next to it is unknown");
	close(device);
	device = device_open();
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
