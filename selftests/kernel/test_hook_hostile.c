// SPDX-License-Identifier: GPL-2.0
/*
 * test_hook_hostile.c - programs that mean harm: each is stopped, the hook answers its default
 * verdict, and the record names the trap, the function and the place. On XDP, again and again, and
 * with real work in between.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/abi/vmctx.h"
#include "device.h"
#include "hooks.h"
#include "tap.h"

#define ROUNDS 50

static int device;

static void test_hostile(const char *name, uint32_t reason, const char *innermost,
			 const char *outermost, uint32_t least_frames)
{
	/* Not so much fuel that on a slow machine the time is over before it. */
	const struct wring_prog_load load = { .fuel = 20000, .time_us = 10000 };
	int stub = hook_stub(BPF_PROG_TYPE_XDP, 2), id, i, right = 0;
	const struct wring_trap_info *trap;
	struct wring_prog_info info;
	struct hook_program program;
	uint8_t packet[64];

	hook_load(device, name, WRING_PROG_XDP, &load, &program);
	if (!tap_ok(program.fd >= 0, "%s loads: %s", name, device_error.message))
		return;
	id = hook_attach_stub(device, program.fd, stub);
	tap_ok(id > 0, "and binds: %s", device_error.message);
	for (i = 0; i < ROUNDS; i++) {
		hook_packet_udp4(packet, true, i, sizeof(packet));
		right += hook_test_run(stub, packet, sizeof(packet)) == 2;
	}
	tap_eq(right, ROUNDS, "the hook answers its default verdict every time");
	hook_info(program.fd, &info);
	trap = &info.trap;
	tap_eq(info.traps, ROUNDS, "every run was a trap");
	tap_eq(info.misses, 0, "none was missed");
	tap_eq(trap->reason, reason, "the reason: %s", trap->text);
	tap_ok(trap->frame_count >= least_frames && trap->frame_count <= WRING_MAX_FRAMES,
	       "the backtrace has %u frames", trap->frame_count);
	tap_ok(!strcmp(trap->frames[0].name, innermost) && trap->frames[0].offset,
	       "stopped in %s at %#x", trap->frames[0].name, trap->frames[0].offset);
	if (outermost)
		tap_ok(!strcmp(trap->frames[trap->frame_count - 1].name, outermost),
		       "which %s had called", trap->frames[trap->frame_count - 1].name);
	tap_eq(hook_detach(device, id), 0, "it detaches");
	hook_free(&program);
	close(stub);
}

int main(void)
{
	struct wring_features before;

	device = hook_begin(&before);
	test_hostile("hostile_oob", WRING_TRAP_MemoryOutOfBounds, "read_option", "out_of_bounds",
		     2);
	test_hostile("hostile_loop", WRING_TRAP_FuelExhausted, "spin", "infinite_loop", 2);
	/* The record keeps the innermost frames: main is out of sight. */
	test_hostile("hostile_recursion", WRING_TRAP_StackExhausted, "descend", NULL,
		     WRING_MAX_FRAMES);
	tap_ok(device_settle(device, &before), "everything is given back");
	close(device);
	return tap_finish();
}
